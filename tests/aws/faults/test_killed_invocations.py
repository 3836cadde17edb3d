"""A writer that a client has invoked, killed before and after every request that it makes, or asleep and woken later.

What its client sees is an answer, or ConnectionLoss in the session that it had: done once or not at all, whoever
watches is told, and what is late has no effect. Some of the places are tried in any case, all of them with
``FK_EVERY_KILL=1``.
"""

from __future__ import annotations

import itertools
from typing import Any, Dict, Iterator, List, Set, Tuple

import pytest
from kazoo.protocol.states import KazooState

from fk_backend import layout
from fk_backend.core.model import Error
from fk_backend.core.requests import Attach, Close, Create, Delete, Multi, Open, SetData
from fk_backend.ports import SESSIONS
from fk_backend.providers.aws import names
from fk_backend.providers.aws.clients import AT_FUNCTIONS, Clients
from fk_backend.providers.aws.dev import host
from fk_backend.providers.aws.dev.emulator import Emulator
from tests.service.processes import eventually

from ..conftest import DEPLOYMENT, deployed
from .invoked import (
    PATIENCE_S,
    App,
    Deed,
    Doom,
    Frozen,
    Round,
    Theatre,
    environment,
    is_tried,
    is_whole,
    open_tapped,
    places,
    set_up,
)
from .wire import READS, Process

NEW = b"new"
Events = List[Tuple[str, str]]


def _several(zk: Any, path: str) -> Any:
    made = zk.transaction()
    made.set_data(path + "/a", NEW)
    made.create(path + "/n", NEW)
    made.delete(path + "/b")
    return made.commit_async()


DEEDS: Dict[str, Deed] = {
    "set": Deed(SetData, lambda zk, path: zk.set_async(path + "/a", NEW)),
    "set, cold": Deed(SetData, lambda zk, path: zk.set_async(path + "/a", NEW), cold=True),
    "create": Deed(Create, lambda zk, path: zk.create_async(path + "/n", NEW)),
    "create, cold": Deed(Create, lambda zk, path: zk.create_async(path + "/n", NEW), cold=True),
    "an ephemeral with a number": Deed(
        Create, lambda zk, path: zk.create_async(path + "/q-", NEW, ephemeral=True, sequence=True)
    ),
    "delete": Deed(Delete, lambda zk, path: zk.delete_async(path + "/a")),
    "several at once": Deed(Multi, _several),
    "refused": Deed(Create, lambda zk, path: zk.create_async(path + "/a", NEW)),
}


@pytest.fixture(scope="module")
def theatre(emulator: Emulator) -> Iterator[Theatre]:
    """One for all tests: each round has a node of its own."""
    doom, opened = Doom(), Clients.open
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host, "ThreadEnvironment", environment(doom))
        patch.setattr(Clients, "open", lambda self: open_tapped(self, opened))
        set_up(patch)
        with deployed(emulator, patch) as deployment:
            patch.setenv(AT_FUNCTIONS, deployment.host.url)
            made = Theatre(deployment, doom)
            yield made
            made.close()


def _undisturbed(theatre: Theatre, deed: Deed) -> Tuple[Round, Events]:
    found = theatre.play(deed, Process())
    assert found.answered and theatre.actor.states == []
    if found.after != found.before:
        eventually(lambda: theatre.watcher.events, "somebody is told", PATIENCE_S)
        theatre.watcher.zk.get_children("/")  # nothing newer is shown before the rest of the events
        eventually(lambda: len(theatre.watcher.events) >= _told_of(found), "all of it", PATIENCE_S)
    return found, theatre.events(found.path)


def _told_of(found: Round) -> int:
    """How many watches there are of what has changed: of each of two nodes, and of the list of children."""
    names_differ = found.after.keys() != found.before.keys()
    return names_differ + sum(found.after.get(name) != found.before.get(name) for name in ("a", "n"))


def _check(theatre: Theatre, found: Round, expected: Round, events: Events, where: str) -> None:
    """Done once or not at all, and whoever watches was told just that; the app knows where it stands."""
    assert found.before == expected.before, where
    is_done = found.after == expected.after
    assert is_done or found.after == found.before, (where, found, expected)
    if is_done:
        eventually(lambda: theatre.events(found.path) == events, where, PATIENCE_S)
    else:
        assert theatre.events(found.path) == [], where
    assert theatre.actor.states == ([] if found.answered else [KazooState.SUSPENDED, KazooState.CONNECTED]), where


@pytest.mark.parametrize("name", DEEDS)
def test_killed_before_and_after_every_request(theatre: Theatre, name: str) -> None:
    deed, outcomes = DEEDS[name], set()
    session = theatre.actor.zk.client_id
    expected, events = _undisturbed(theatre, deed)
    is_read = False
    for at, after in places(list(DEEDS).index(name)):
        if after and is_read:  # as killed before the next one
            continue
        victim = Process(at, after)
        found = theatre.play(deed, victim)
        is_read = found.sent[-1].operation in READS
        where = "killed at request %d (%s) of %s" % (at, after, [each.operation for each in found.sent])
        assert found.answered is not victim.dead, where
        assert theatre.actor.zk.client_id == session, where
        _check(theatre, found, expected, events, where)
        if found.answered:
            break
        outcomes.add(found.after != found.before)
        late = theatre.again(found.event).written
        assert late is not None and late.result.code == Error.SESSION_MOVED, (where, late)
        assert theatre.actor.view(found.path) == found.after, where
    assert outcomes


@pytest.mark.parametrize("name", DEEDS if is_whole() else ("set", "create, cold", "several at once"))
def test_one_that_wakes_after_its_client_has_connected_again_changes_nothing(theatre: Theatre, name: str) -> None:
    deed, scene = DEEDS[name], list(DEEDS).index(name)
    expected, events = _undisturbed(theatre, deed)
    for at in itertools.count(1):
        if not is_tried(scene + 1, at):
            continue
        frozen = Frozen(at)
        found = theatre.play(deed, frozen)
        where = "asleep at request %d of %s" % (at, [each.operation for each in found.sent])
        assert found.answered is not frozen.reached.is_set(), where
        _check(theatre, found, expected, events, where)
        if found.answered:
            break
        frozen.wake.set()
        assert theatre.doom.over.wait(PATIENCE_S), where
        assert theatre.actor.view(found.path) == found.after, where
        _check(theatre, found, expected, events, where)


def test_killed_while_a_session_begins(theatre: Theatre) -> None:
    """Its client gets a session; the one that it knows nothing of is ended by the sweep."""
    kills: Set[Tuple[int, bool]] = set()
    for at, after in places(0):
        victim = Process(at, after)
        theatre.doom.befall(Open, victim)
        app = App(theatre.deployment.url).start()
        assert app.zk.create("/begun-", sequence=True).startswith("/begun-")
        app.stop()
        if not victim.dead:
            break
        kills.add((at, after))
    assert kills and 2 <= len(_sessions(theatre)) <= 2 + len(kills)


def _sessions(theatre: Theatre) -> List[Any]:
    keys = {":p": {"S": layout.sessions_partition("default")}}
    asked = {"KeyConditionExpression": "p = :p", "ExpressionAttributeValues": keys, "ConsistentRead": True}
    found = theatre.deployment.account.client("dynamodb").query(TableName=names.table(DEPLOYMENT, SESSIONS), **asked)
    return list(found["Items"])


def test_killed_while_a_client_attaches(theatre: Theatre) -> None:
    """It goes on with its session, and what it watches from then on is told."""
    app, session, kills = theatre.watcher, theatre.watcher.zk.client_id, 0
    for at, after in places(0):
        path, victim = theatre.prepare(), Process(at, after)
        app.states.clear()
        theatre.doom.befall(Attach, victim)
        app.zk._connection.hang_up()
        eventually(lambda: len(app.states) == 2, "it connects again", PATIENCE_S)
        assert app.states == [KazooState.SUSPENDED, KazooState.CONNECTED] and app.zk.client_id == session
        app.zk.get(path + "/a", watch=app.told)  # kazoo has forgotten it with the connection
        theatre.actor.zk.set(path + "/a", NEW)
        eventually(lambda: app.events, "it is told", PATIENCE_S)
        assert theatre.events(path) == [("CHANGED", "/a")]
        if not victim.dead:
            break
        kills += 1
    assert kills


def test_killed_while_a_client_leaves(theatre: Theatre) -> None:
    """`stop` comes back, and what the session owned is gone: at once, or when it has expired."""
    theatre.actor.zk.create("/owned")
    before = len(_sessions(theatre))  # what the sweep would end is left by the tests before
    for at, after in places(0):
        app, victim = App(theatre.deployment.url, session_s=6.0).start(), Process(at, after)
        app.zk.create("/owned/by-", ephemeral=True, sequence=True)
        theatre.doom.befall(Close, victim)
        app.stop()
        if not victim.dead:
            break
    eventually(lambda: theatre.actor.zk.get_children("/owned") == [], "nothing is left", PATIENCE_S)
    eventually(lambda: len(_sessions(theatre)) == before, "no session is left", PATIENCE_S)
