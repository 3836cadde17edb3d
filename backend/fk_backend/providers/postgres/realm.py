"""Which namespaces a role may use, and whose they are: those that are nobody's own, or one that is its own (own.py).

Each such realm has a writer of its own, so that no role's process does what only another role may do.
"""

from __future__ import annotations

from typing import Any, FrozenSet, NamedTuple

from ...errors import DeploymentError, NoPermission
from .connections import Connections
from .own import EVERYTHING_ELSE

SEEN = 'SELECT ns, lock, queue, news FROM fk_kazoo.writer ORDER BY ns COLLATE "C"'
IS_OWN = "SELECT fk_kazoo.is_own($1)"


class Realm(NamedTuple):
    """``ns``: a role's own one, or `EVERYTHING_ELSE`. ``lock``: of its writer, by which it is elected."""

    ns: str
    lock: int = 0
    queue: str = ""
    news: str = ""
    others: FrozenSet[str] = frozenset()
    """As far as the role can see them: the owner sees all namespaces, and is no writer of these."""

    def has(self, ns: str) -> bool:
        """Whether its writer serves that namespace. Of what a role does not see, the database refuses to write it."""
        return ns not in self.others if self.ns == EVERYTHING_ELSE else ns == self.ns

    async def admit(self, connections: Connections, ns: str, shown: str) -> None:
        """NoPermission if sessions of that namespace are not this role's."""
        if self.ns != EVERYTHING_ELSE and ns != self.ns:
            raise NoPermission("%s: this role may use ?namespace=%s, and no other namespace" % (shown, self.ns))
        if self.ns == EVERYTHING_ELSE and (await connections.read(IS_OWN, ns))[0][0]:
            raise NoPermission(
                "%s: only roles of its own may use the namespace %s: log in as one of them" % (shown, ns)
            )


async def realm_of(connection: Any, shown: str) -> Realm:
    """That of who is logged in. NoPermission if it is nobody's, DeploymentError if there are several."""
    found = await connection.fetch(SEEN)
    if not found:
        raise NoPermission("%s: this role may use nothing; let it: fk-kazoo init URL --role ROLE" % shown)
    mine, *others = found
    if others and mine[0] != EVERYTHING_ELSE:
        both = ", ".join(each[0] for each in found)
        raise DeploymentError("%s: log in as a role of one of these namespaces, and not of all: %s" % (shown, both))
    ns, lock, queue, news = mine
    return Realm(ns, lock, queue, news, frozenset(each[0] for each in others))
