"""`create_once`: a node that is made once, whatever happens to the connection while it is made.

kazoo raises ConnectionLoss when the answer to a create is lost. Whoever tries again makes a second sequential node, or
gets NodeExistsError for the node that he made himself. Here it is found out whether it was made. Once a client is
connected again, whatever it sent before has been done or never will be; so one look decides.
"""

from __future__ import annotations

import uuid
from typing import Any, List, Optional

from kazoo.exceptions import ConnectionLoss, NodeExistsError, NoNodeError, SessionExpiredError
from kazoo.protocol.states import ZnodeStat

from .exceptions import PayloadTooLargeError


class Creation:
    """One node to be made, tried as often as it takes. ``path``: as it will be, without the number of a sequence."""

    def __init__(self, client: Any, path: str, value: bytes, sequence: bool, **options: Any) -> None:
        if sequence:
            path = protected(path)
        self.client, self.path, self.value, self.sequence, self.options = client, path, value, sequence, options
        self._outcome_unknown = False
        """Whether a try was made of which nobody knows whether it was done."""
        self._refused: Optional[PayloadTooLargeError] = None

    def run(self) -> str:
        """The path of the node. NodeExistsError if somebody else has made it."""
        if not self.sequence and self.client.retry(self.client.exists, self.path):
            raise NodeExistsError
        made: str = self.client.retry(self._try)
        if self._refused is not None:
            raise self._refused
        return made

    def _try(self) -> str:
        found = self._found() if self._outcome_unknown else None
        if found is not None:
            return found
        try:
            made: str = self.client.create(self.path, self.value, sequence=self.sequence, **self.options)
            return made
        except PayloadTooLargeError as error:  # nothing was done, which a retry would not believe
            self._refused = error
            return self.path
        except (ConnectionLoss, SessionExpiredError):
            self._outcome_unknown = True
            raise

    def _found(self) -> Optional[str]:
        """The node, if it was made by a try before."""
        try:
            if self.sequence:
                return named(self.path, self.client.get_children(self.path.rpartition("/")[0] or "/"))
            data, stat = self.client.get(self.path)
        except NoNodeError:
            return None
        session = self.client.client_id[0] if self.options.get("ephemeral") else None
        return self.path if is_own(self.value, session, data, stat) else None


def protected(path: str) -> str:
    """The path of a sequential node, with what it is known by, as Curator's protected nodes have it."""
    directory, _, name = path.rpartition("/")
    return "%s/_c_%s-%s" % (directory, uuid.uuid4(), name)


def named(path: str, names: List[str]) -> Optional[str]:
    """The sequential node that was made by this path, if it is among the names."""
    directory, _, prefix = path.rpartition("/")
    return next(("%s/%s" % (directory, name) for name in names if name.startswith(prefix)), None)


def is_own(value: bytes, session: Optional[int], data: bytes, stat: ZnodeStat) -> bool:
    """Whether a node that was found is the one that was made with ``value``, by ``session`` if it is ephemeral."""
    if session is not None:
        return stat.ephemeralOwner == session
    return data == value and not stat.version and not stat.ephemeralOwner
