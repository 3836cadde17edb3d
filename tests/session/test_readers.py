"""An event of a node that the session might not read at the change is not told (CVE-2024-23944).

What is expected was seen on Debian's ZooKeeper 3.8.0, with the same requests. A watch that is there for once is
gone with the change, whether it is told or not. It is the ACL at the change that counts, that of the node in the
event: for a deletion the one that it had, for CHILD the one of the parent.
"""

from __future__ import annotations

from typing import Any, List, Tuple

import pytest

from fk_backend.core.acls import OPEN_ACL, SUPER, digest_id
from fk_backend.core.model import Acl, Acls, EventType, Id, Perms
from fk_backend.core.requests import Auth, Create, Delete, Multi, SetAcl, SetData
from fk_backend.core.watches import PERSISTENT, RECURSIVE
from fk_backend.session.ops import AddWatch, Exists, GetChildren, GetData

from .doubles import Actor, Stage, is_answer, is_fired, on_stage, rest

CREATED, DELETED, CHANGED, CHILD = EventType.CREATED, EventType.DELETED, EventType.CHANGED, EventType.CHILD
CREDENTIAL = "owner:secret"
OWNER = digest_id(CREDENTIAL)
OWN: Acls = (Acl(Perms.ALL, *OWNER),)
HERE: Acls = (*OWN, Acl(Perms.READ, "ip", "127.0.0.0/8"))
ELSEWHERE: Acls = (*OWN, Acl(Perms.READ, "ip", "10.0.0.0/8"))
ALL_BUT_READ: Acls = (*OWN, Acl(Perms.ALL & ~Perms.READ, "world", "anyone"))

Events = List[Tuple[str, int]]


def make(acl: Acls, path: str = "/a/n") -> Create:
    """A create with that ACL."""
    return Create(path, b"", acl, 0, 0, False)


def let(acl: Acls, path: str = "/a/n") -> SetAcl:
    """Another ACL."""
    return SetAcl(path, acl, -1)


SET, GONE = SetData("/a/n", b"", -1), Delete("/a/n", -1)
CHILD_GONE = Delete("/a/n/k", -1)
EXISTS, GET, LIST = Exists("/a/n", True), GetData("/a/n", True), GetChildren("/a/n", True)
KEPT, BELOW = AddWatch("/a/n", PERSISTENT), AddWatch("/a", RECURSIVE)
BOTH = Multi((make(OWN), SET, GONE, make(OPEN_ACL), SET))

SEEN: List[Tuple[str, List[Any], List[Any], List[Any], Events]] = [
    ("a creation", [], [EXISTS], [make(OWN), SET, GONE, make(OPEN_ACL), SET], []),
    ("a creation that all may see", [], [EXISTS], [make(OPEN_ACL)], [("/a/n", CREATED)]),
    ("all but READ", [], [EXISTS], [make(ALL_BUT_READ)], []),
    ("an address", [], [EXISTS], [make(HERE)], [("/a/n", CREATED)]),
    ("another address", [], [EXISTS], [make(ELSEWHERE)], []),
    ("consumed", [make(OWN)], [EXISTS], [SET, let(OPEN_ACL), SET], []),
    ("opened before", [make(OWN)], [EXISTS], [let(OPEN_ACL), SET], [("/a/n", CHANGED)]),
    ("closed before", [make(OPEN_ACL)], [GET], [let(OWN), SET, let(OPEN_ACL), SET], []),
    ("closed after", [make(OPEN_ACL)], [GET], [SET, let(OWN)], [("/a/n", CHANGED)]),
    ("the ACL that it had", [make(OPEN_ACL)], [GET, LIST], [let(OWN), GONE, make(OPEN_ACL)], []),
    ("a deletion", [make(OPEN_ACL)], [GET, LIST], [GONE], [("/a/n", DELETED)]),
    ("the parent's, not the child's", [make(OPEN_ACL)], [LIST], [make(OWN, "/a/n/k")], [("/a/n", CHILD)]),
    ("the parent's", [make(OPEN_ACL)], [LIST],
     [let(OWN), make(OPEN_ACL, "/a/n/k"), let(OPEN_ACL), CHILD_GONE], []),
    ("persistent", [], [KEPT],
     [make(OWN), SET, let(OPEN_ACL), SET, make(OWN, "/a/n/k"), let(OWN), CHILD_GONE, GONE],
     [("/a/n", CHANGED), ("/a/n", CHILD)]),
    ("recursive", [], [BELOW],
     [make(OWN), SET, let(OPEN_ACL), SET, make(OWN, "/a/n/k"), CHILD_GONE, let(OWN), GONE], [("/a/n", CHANGED)]),
    ("within a multi", [], [KEPT], [BOTH], [("/a/n", CREATED), ("/a/n", CHANGED)]),
    ("within a multi, once", [], [EXISTS], [BOTH, SET], []),
]  # fmt: skip
NAMES = [name for name, *_ in SEEN]


async def _scene(stage: Stage) -> List[Actor]:
    """A watcher, and the owner of what it may not read, who may do anything. There is "/a"."""
    watcher, owner = await stage.open(), await stage.open()
    await owner.do("auth", Auth("digest", CREDENTIAL))
    await owner.do("a", make(OPEN_ACL, "/a"))
    await owner.do("b", make(OPEN_ACL, "/b"))
    return [watcher, owner]


async def _watching(stage: Stage, before: List[Any], looks: List[Any]) -> List[Actor]:
    watcher, owner = await _scene(stage)
    for number, op in enumerate(before):
        await owner.do(("before", number), op)
    for number, op in enumerate(looks):
        await watcher.do(("look", number), op)
    await stage.deliver()
    return [watcher, owner]


@pytest.mark.parametrize("how", ["pushes", "list"])
@pytest.mark.parametrize("case", range(len(SEEN)), ids=NAMES)
def test_what_zookeeper_tells(case: int, how: str) -> None:
    """By pushes, and by the list of triggers that the session finds before it shows something newer."""
    _, before, looks, changes, expected = SEEN[case]

    async def play(stage: Stage) -> None:
        watcher, owner = await _watching(stage, before, looks)
        stage.store.capabilities = stage.store.capabilities._replace(recent_bytes=1 << 20)
        for number, op in enumerate(changes):
            await owner.do(number, op)
            if how == "pushes":
                await stage.deliver()
        stage.lose()
        await owner.do("newer", SetData("/b", b"", -1))
        await watcher.do("show", GetData("/b", False))
        assert watcher.events() == expected

    on_stage(play)


@pytest.mark.parametrize("who", ["before", "super"])
def test_who_may_read_is_told(who: str) -> None:
    async def play(stage: Stage) -> None:
        stage.writer._super_id = OWNER if who == "super" else None
        watcher, owner = await _scene(stage)
        await watcher.do("auth", Auth("digest", CREDENTIAL))
        assert (SUPER in watcher.session.identities) == (who == "super")
        await watcher.do("look", EXISTS)
        await owner.do("make", make((Acl(Perms.ALL, *digest_id("a:b")),) if who == "super" else OWN))
        await stage.deliver()
        assert watcher.events() == [("/a/n", CREATED)]

    on_stage(play)


@pytest.mark.parametrize("first", ["answer", "push"])
def test_a_credential_counts_from_where_it_stands_in_the_order(first: str) -> None:
    """What happened before it is judged without it, what happened after it with it, though all is heard at once."""

    async def play(stage: Stage) -> None:
        watcher, owner = await _scene(stage)
        await owner.do("n", make(OWN))
        await owner.do("m", make(OWN, "/a/m"))
        await watcher.do("n", Exists("/a/n", True))
        await watcher.do("m", Exists("/a/m", True))
        await stage.deliver()
        await owner.submit("before", SET)
        await watcher.submit("auth", Auth("digest", CREDENTIAL))
        await watcher.submit("after", SetData("/a/m", b"", -1))
        await stage.write()
        mine = [pushed for pushed in stage.pushes if pushed.inbox == watcher.inbox]
        assert [is_answer(pushed) for pushed in mine] == [True, False]
        for pushed in mine if first == "answer" else reversed(mine):
            stage.arrive(pushed)
            await rest()
        assert watcher.events() == [("/a/m", CHANGED)]
        assert watcher.said()[2:] == ["auth", "event", "after"]

    on_stage(play)


# --- the list does not reach back -----------------------------------------------------------------

FORGOTTEN: List[Tuple[str, List[Any], List[Any], List[Any], Events, Events]] = [
    ("changed, not readable", [make(OWN)], [EXISTS], [SET], [], []),
    ("deleted, was not readable", [make(OWN)], [EXISTS], [GONE], [], []),
    ("created, not readable", [], [EXISTS], [make(OWN)], [], []),
    ("closed, then changed", [make(OPEN_ACL)], [GET], [let(OWN), SET], [], []),
    ("children, closed", [make(OPEN_ACL)], [LIST], [let(OWN), make(OPEN_ACL, "/a/n/k")], [], []),
    ("readable", [make(OPEN_ACL)], [GET], [SET], [("/a/n", CHANGED)], []),
    ("changed, then closed", [make(OPEN_ACL)], [GET], [SET, let(OWN)], [], [("/a/n", CHANGED)]),
    ("closed, then deleted", [make(OPEN_ACL)], [GET], [let(OWN), GONE], [("/a/n", DELETED)], []),
    ("closed, changed, opened", [make(OPEN_ACL)], [GET], [let(OWN), SET, let(OPEN_ACL)], [("/a/n", CHANGED)], []),
    ("opened, then deleted", [make(OWN)], [EXISTS], [let(OPEN_ACL), GONE], [], [("/a/n", DELETED)]),
]


@pytest.mark.parametrize("case", range(len(FORGOTTEN)), ids=[name for name, *_ in FORGOTTEN])
def test_what_no_list_tells_is_judged_by_the_node_and_the_rest_by_its_push(case: int) -> None:
    """What the session may not read now is not told from its node; the push knows who might at the change."""
    _, before, looks, changes, at_once, with_the_push = FORGOTTEN[case]

    async def play(stage: Stage) -> None:
        watcher, owner = await _watching(stage, before, looks)
        stage.store.capabilities = stage.store.capabilities._replace(recent_bytes=0)
        for number, op in enumerate(changes):
            await owner.do(number, op)
        pushes = [pushed for pushed in stage.pushes if is_fired(pushed)]
        for number in range(4):
            await owner.do(("newer", number), SetData("/b", b"", -1))
        stage.lose()
        await watcher.do("show", GetData("/b", False))
        assert watcher.events() == at_once
        for pushed in pushes:
            stage.arrive(pushed)
            await rest()
        assert watcher.events() == [*at_once, *with_the_push]

    on_stage(play)


def test_another_digest_of_the_same_name_is_another_identity() -> None:
    async def play(stage: Stage) -> None:
        watcher, owner = await _scene(stage)
        await watcher.do("auth", Auth("digest", "owner:guessed"))
        await watcher.do("look", EXISTS)
        await owner.do("make", make(OWN))
        await stage.deliver()
        assert watcher.events() == [] and watcher.session.identities[-1] != Id(*OWNER)

    on_stage(play)
