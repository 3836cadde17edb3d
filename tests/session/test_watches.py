"""No event is lost, none comes twice, none after what it comes before: whatever happens to pushes and registrations.

Pushes are lost, doubled and late here, commits are put between any two steps of a read, and the list of triggers in
the head is cut short. What must hold each time: who reads with a watch either sees a change or gets its event.
"""

from __future__ import annotations

from typing import Any, List

import pytest

from fk_backend import layout, messages
from fk_backend.core import watches
from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Acl, Error, EventType, Perms, Trigger
from fk_backend.core.requests import Create, Delete, Multi, SetAcl, SetData
from fk_backend.errors import Unavailable
from fk_backend.messages import Answers, Message, encode_note, trigger_log_of
from fk_backend.ports import Capabilities, Pushed, Put
from fk_backend.session.ops import AddWatch, Exists, GetAcl, GetChildren, GetData, RemoveWatches
from fk_backend.session.watchlist import Event
from fk_backend.triggers import unpacked

from .doubles import NS, Actor, Stage, is_fired, on_stage, rest

CREATED, DELETED, CHANGED, CHILD = EventType.CREATED, EventType.DELETED, EventType.CHANGED, EventType.CHILD


def create(path: str) -> Create:
    """A create with nothing special about it."""
    return Create(path, b"", OPEN_ACL, 0, 0, False)


async def _pair(stage: Stage, *paths: str) -> List[Actor]:
    """A watcher, and somebody who has made these nodes."""
    watcher, other = await stage.open(), await stage.open()
    for path in paths:
        await other.do("make " + path, create(path))
    stage.lose()
    return [watcher, other]


def test_an_event_comes_by_its_push() -> None:
    async def play(stage: Stage) -> None:
        watcher, other = await _pair(stage, "/a")
        await watcher.do("read", GetData("/a", True))
        await other.do("set", SetData("/a", b"1", -1))
        assert watcher.events() == []
        await stage.deliver()
        assert watcher.events() == [("/a", CHANGED)]
        await other.do("again", SetData("/a", b"2", -1))
        await stage.deliver()
        assert watcher.events() == [("/a", CHANGED)], "once"

    on_stage(play)


@pytest.mark.parametrize("shown_by", ["read", "missing", "write"])
def test_an_event_whose_push_is_lost_comes_before_anything_newer(shown_by: str) -> None:
    async def play(stage: Stage) -> None:
        watcher, other = await _pair(stage, "/a", "/b")
        await watcher.do("watch", GetData("/a", True))
        await other.do("set", SetData("/a", b"1", -1))
        await other.do("newer", SetData("/b", b"1", -1))
        assert stage.lose() == 1
        op: Any = {"read": GetData("/b", False), "missing": Exists("/none", False), "write": create("/c")}[shown_by]
        await watcher.do("show", op)
        assert watcher.said() == ["watch", "event", "show"] and watcher.events() == [("/a", CHANGED)]

    on_stage(play)


HIDDEN = (Acl(Perms.ALL, "digest", "nobody:here"),)


@pytest.mark.parametrize(
    "acl, look", [(OPEN_ACL, GetAcl("/b")), (HIDDEN, GetAcl("/b")), (HIDDEN, GetData("/b", False))]
)
def test_a_change_of_permissions_is_something_newer_too(acl: Any, look: Any) -> None:
    """It changes neither mzxid nor pzxid; that it is seen is told from the head."""

    async def play(stage: Stage) -> None:
        watcher, other = await _pair(stage, "/a", "/b")
        await watcher.do("watch", GetData("/a", True))
        await other.do("set", SetData("/a", b"1", -1))
        await other.do("acl", SetAcl("/b", acl, -1))
        stage.lose()
        answer = await watcher.do("show", look)
        assert (answer.code == Error.NO_AUTH) if acl == HIDDEN else (answer.value[1].aversion == 1)
        assert watcher.said() == ["watch", "event", "show"]

    on_stage(play)


def test_a_push_that_comes_twice_or_late_is_told_once() -> None:
    async def play(stage: Stage) -> None:
        watcher, other = await _pair(stage, "/a", "/b")
        await watcher.do("one", GetData("/a", True))
        await watcher.do("two", GetData("/b", True))
        await other.do("set a", SetData("/a", b"1", -1))
        await other.do("set b", SetData("/b", b"1", -1))
        first, second = [pushed for pushed in stage.pushes if is_fired(pushed)]
        for pushed in (second, first, first, second):
            stage.arrive(pushed)
            await rest()
        assert watcher.events() == [("/a", CHANGED), ("/b", CHANGED)]

    on_stage(play)


def test_events_of_a_multi_come_in_its_order_and_before_its_answer() -> None:
    async def play(stage: Stage) -> None:
        (watcher,) = (await _pair(stage, "/a", "/b"))[:1]
        await watcher.do("a", GetData("/a", True))
        await watcher.do("b", GetData("/b", True))
        await watcher.do("multi", Multi((SetData("/b", b"", -1), Delete("/a", -1))))
        assert watcher.events() == [("/b", CHANGED), ("/a", DELETED)] and watcher.said()[-1] == "multi"

    on_stage(play)


def test_a_data_and_a_child_watch_are_told_of_a_deletion_once() -> None:
    async def play(stage: Stage) -> None:
        watcher, other = await _pair(stage, "/a")
        await watcher.do("data", GetData("/a", True))
        await watcher.do("children", GetChildren("/a", True))
        await other.do("delete", Delete("/a", -1))
        await stage.deliver()
        assert watcher.events() == [("/a", DELETED)]

    on_stage(play)


# --- registering and reading ----------------------------------------------------------------------

LOOKS: List[Any] = [Exists("/a", True), GetData("/a", True), GetChildren("/a", True), Exists("/new", True)]
CHANGES = {
    "set": SetData("/a", b"1", -1),
    "child": create("/a/x"),
    "delete": Delete("/a", -1),
    "create": create("/new"),
}


@pytest.mark.parametrize("lose", [False, True])
@pytest.mark.parametrize("change", sorted(CHANGES))
@pytest.mark.parametrize("look", range(len(LOOKS)))
def test_a_commit_between_any_two_steps_of_a_read_is_seen_or_told(look: int, change: str, lose: bool) -> None:
    """Put before each call that the read makes of the store, in turn; with the push of its event, or without.

    Then a second change comes, whose event must come if the watch was left, by what is shown next at the latest.
    """

    async def play(stage: Stage) -> None:
        for at in range(1, 8):
            await _one_interleaving(Stage(), LOOKS[look], CHANGES[change], at, lose)

    on_stage(play)


async def _one_interleaving(stage: Stage, op: Any, change: Any, at: int, lose: bool) -> None:
    watcher, other = await _pair(stage, "/a")
    store, first = watcher.gateway.store, len(watcher.gateway.store.calls)

    async def interpose(number: int, name: str) -> None:
        if number == first + at:
            store.before = None
            await stage.inject(Message(other.inbox, other.session.id, 100, (change,)))

    store.before = interpose
    result = await watcher.do("look", op)
    if store.before is not None:  # the read took fewer steps
        store.before = None
        await stage.inject(Message(other.inbox, other.session.id, 100, (change,)))
    if lose:
        stage.lose()
    await stage.deliver()
    await watcher.do("show", Exists("/none", False))
    mode = watches.CHILD if isinstance(op, GetChildren) else watches.DATA
    matching = [t for t in (await watcher.session._reader.head()).triggers if _fires(mode, op.path, t)]
    changed = [t for t in matching if t.zxid == stage.zxid]
    left = result.code == Error.OK or (isinstance(op, Exists) and result.code == Error.NO_NODE)
    saw = bool(changed) and result.zxid >= changed[0].zxid
    assert len(watcher.events()) == (1 if changed and left and not saw else 0), (at, result, watcher.said())
    await _next_change_is_told(stage, watcher, other, op, left and not watcher.events(), lose)
    await stage.finish()


def _fires(mode: str, path: str, trigger: Any) -> bool:
    return watches.matches(mode, path, trigger)


async def _next_change_is_told(
    stage: Stage, watcher: Actor, other: Actor, op: Any, armed: bool, after_loss: bool
) -> None:
    before = len(watcher.events())
    there = (await stage.store.get([layout.node_keys(NS, op.path)[0]]))[0] is not None
    if isinstance(op, GetChildren):
        if not there:
            return
        request: Any = create(op.path + "/y")
    else:
        request = SetData(op.path, b"2", -1) if there else create(op.path)
    await stage.inject(Message(other.inbox, other.session.id, 101, (request,)))
    await stage.deliver()
    if after_loss:  # the push that was lost would have had the registration made again
        await watcher.do("show again", Exists("/none", False))
    assert len(watcher.events()) - before == armed


def test_a_registration_that_an_old_trigger_consumed_is_made_again() -> None:
    """The read has shown the change already: no event, and the watch goes on."""

    async def play(stage: Stage) -> None:
        watcher, other = await _pair(stage, "/a")
        store = watcher.gateway.store
        registered = len(store.calls) + 1

        async def interpose(number: int, name: str) -> None:
            if number == registered + 1:
                store.before = None
                await stage.inject(Message(other.inbox, other.session.id, 100, (SetData("/a", b"1", -1),)))

        store.before = interpose
        assert (await watcher.do("read", GetData("/a", True))).value[0] == b"1"
        assert [key for key, _ in await stage.store.scan("interest", NS + ":/a")] == [], "consumed"
        await stage.deliver()
        assert watcher.events() == []
        assert [key.sort for key, _ in await stage.store.scan("interest", NS + ":/a")] == ["data:" + watcher.inbox]
        await stage.inject(Message(other.inbox, other.session.id, 101, (SetData("/a", b"2", -1),)))
        await stage.deliver()
        assert watcher.events() == [("/a", CHANGED)]

    on_stage(play)


def test_a_read_that_fails_leaves_no_watch_and_takes_none_away() -> None:
    async def play(stage: Stage) -> None:
        watcher, other = await _pair(stage)
        await watcher.do("fails", GetData("/a", True))
        assert await stage.store.scan("interest", NS + ":/a") == []
        await watcher.do("watch", Exists("/a", True))
        await watcher.do("fails too", GetData("/a", True))
        await other.do("create", create("/a"))
        await stage.deliver()
        assert watcher.events() == [("/a", CREATED)]

    on_stage(play)


# --- the list does not reach back -----------------------------------------------------------------


def shorten(stage: Stage) -> None:
    """From now on the head keeps two triggers."""
    stage.store.capabilities = stage.store.capabilities._replace(recent_bytes=22)


MISSED = [
    (Exists("/a", True), SetData("/a", b"1", -1), [("/a", CHANGED)]),
    (Exists("/a", True), Delete("/a", -1), [("/a", DELETED)]),
    (Exists("/new", True), create("/new"), [("/new", CREATED)]),
    (GetChildren("/a", True), create("/a/x"), [("/a", CHILD)]),
    (GetChildren("/a", True), Delete("/a", -1), [("/a", DELETED)]),
    (Exists("/a", True), create("/a/x"), []),
    (GetChildren("/a", True), SetData("/a", b"1", -1), []),
]


@pytest.mark.parametrize("case", range(len(MISSED)))
def test_what_the_list_does_not_tell_any_more_the_registrations_do(case: int) -> None:
    """ZooKeeper's rules for SetWatches; a watch that has not fired stays, and fires later."""
    look, change, expected = MISSED[case]

    async def play(stage: Stage) -> None:
        shorten(stage)
        watcher, other = await _pair(stage, "/a", "/b", "/quiet")
        await watcher.do("look", look)
        await watcher.do("quiet", GetData("/quiet", True))
        await other.do("change", change)
        for number in range(5):
            await other.do(number, SetData("/b", b"", -1))
        stage.lose()
        await watcher.do("show", GetData("/b", False))
        assert watcher.events() == expected and watcher.said()[-1] == "show"
        await other.do("quiet", SetData("/quiet", b"", -1))
        await stage.deliver()
        assert watcher.events() == [*expected, ("/quiet", CHANGED)]

    on_stage(play)


def test_a_consumed_registration_of_a_watch_that_is_still_good_is_made_again() -> None:
    """Consumed by a trigger that its read had shown, the push of that lost, and the list cut short as well."""

    async def play(stage: Stage) -> None:
        shorten(stage)
        watcher, other = await _pair(stage, "/a", "/b")
        await watcher.do("read", GetData("/a", True))
        (registration,) = await stage.store.scan("interest", NS + ":/a")
        await stage.store.purge("interest", watcher.inbox)
        for number in range(5):
            await other.do(number, SetData("/b", b"", -1))
        await watcher.do("show", GetData("/b", False))
        assert watcher.events() == []
        assert [key for key, _ in await stage.store.scan("interest", NS + ":/a")] == [registration[0]]
        await other.do("set", SetData("/a", b"", -1))
        await stage.deliver()
        assert watcher.events() == [("/a", CHANGED)]

    on_stage(play)


def test_watches_that_a_deletion_ended_are_told_of_it_once_though_the_node_is_back() -> None:
    """The writer was just dropping their registrations: one was still there when it was looked for, one not."""

    async def play(stage: Stage) -> None:
        watcher, other = await _pair(stage, "/b")
        await watcher.do("children", GetChildren("/b", True))
        await watcher.do("exists", Exists("/b", True))
        rows = await stage.store.scan("interest", NS + ":/b")
        gone = (await other.do("delete", Delete("/b", -1))).zxid
        await other.do("create", create("/b"))
        stage.lose()
        still = [Put(key, item, owner=watcher.inbox) for key, item in rows if key.sort.startswith(watches.CHILD)]
        await stage.store.commit(still)
        trigger_log = trigger_log_of(gone, gone - 1, [Trigger(gone, "/b", DELETED), Trigger(gone, "/", CHILD)])
        assert len(rows) == 2 and len(still) == 1
        assert await watcher.session._reader.reconcile(gone, trigger_log) == [Event(gone, "/b", DELETED)]

    on_stage(play)


def test_who_leaves_removes_its_registrations_itself() -> None:
    """Also one that no watch came of; where the store does not know who put what, nobody else would."""

    async def play(stage: Stage) -> None:
        stage.store.capabilities = Capabilities(indexes_owners=False, transactions_cost_double=True)
        watcher, other = await _pair(stage, "/a", "/b")
        await watcher.do("data", GetData("/a", True))
        await watcher.do("children", GetChildren("/a", True))
        await watcher.do("all", AddWatch("/b", watches.RECURSIVE))
        await other.do("others", Exists("/a", True))
        watcher.gateway.store.before = _fails_from_now(watcher)
        await watcher.submit("half", Exists("/c", True))
        assert len(await _registered(stage)) == 5
        watcher.gateway.store.before = None
        watcher.session.end("lost", "by the test")
        await rest()
        assert await _registered(stage) == ["%s:%s" % (watches.DATA, other.inbox)]

    on_stage(play)


async def _registered(stage: Stage) -> List[str]:
    return [key.sort for key, _ in await stage.store.scan("interest", NS) if not key.partition.endswith(":beats")]


def _fails_from_now(watcher: Actor) -> Any:
    """Whatever the watcher reads; it still registers."""

    def fail(_: int, name: str) -> None:
        if name != "commit":
            raise Unavailable("not now")

    return fail


# --- watches that stay ----------------------------------------------------------------------------


def test_a_watch_that_stays_tells_everything_in_order() -> None:
    async def play(stage: Stage) -> None:
        watcher, other = await _pair(stage, "/a")
        await watcher.do("persistent", AddWatch("/a", watches.PERSISTENT))
        await watcher.do("recursive", AddWatch("/a", watches.RECURSIVE))
        for op in (SetData("/a", b"1", -1), create("/a/x"), SetData("/a/x", b"", -1), Delete("/a/x", 1)):
            await other.do(op, op)
        await stage.deliver()
        assert watcher.events() == [
            ("/a", CHANGED), ("/a/x", CREATED), ("/a", CHILD), ("/a/x", CHANGED), ("/a/x", DELETED), ("/a", CHILD)
        ]  # fmt: skip
        assert (await watcher.do("remove", RemoveWatches("/a"))).code == Error.OK
        assert (await watcher.do("again", RemoveWatches("/a"))).code == Error.NO_WATCHER
        await other.do("after", SetData("/a", b"1", -1))
        await stage.deliver()
        assert len(watcher.events()) == 6 and await stage.store.scan("interest", NS + ":/a") == []

    on_stage(play)


def test_a_watch_of_a_subtree_that_the_functions_do_not_know_of_is_refused() -> None:
    """What is sent before it could not be written: the disk was full, or it shared a message with poison."""

    async def play(stage: Stage) -> None:
        watcher = await stage.open()
        await watcher.submit("recursive", AddWatch("/", watches.RECURSIVE))
        stage.sent.clear()
        note = Answers(1, [(Error.STORAGE_FULL, None, 1)], trigger_log_of(1, 1, ()))
        stage.arrive(Pushed(watcher.inbox, encode_note(note)))
        await rest()
        assert watcher.reply("recursive").code == Error.STORAGE_FULL
        await watcher.do("after", create("/a"))
        assert watcher.events() == []

    on_stage(play)


def test_removing_watches_is_tried_until_it_is_done() -> None:
    """What could not be taken back at first is still there to be taken back. Found by the simulation, seed 1000015."""

    async def play(stage: Stage) -> None:
        watcher, other = await _pair(stage, "/a")
        await watcher.do("children", GetChildren("/a", True))
        failures: List[Exception] = [Unavailable("cut off")]

        def before(number: int, name: str) -> None:
            if failures and name == "commit":
                raise failures.pop()

        watcher.gateway.store.before = before
        await watcher.submit("remove", RemoveWatches("/a"))
        await stage.clock.advance(0.5)
        assert watcher.reply("remove").code == Error.OK
        assert await stage.store.scan("interest", NS + ":/a") == []
        await other.do("create", create("/a/x"))
        await stage.deliver()
        assert watcher.events() == []

    on_stage(play)


def test_what_has_fired_a_watch_is_told_before_it_is_removed() -> None:
    """Its push is on its way. ZooKeeper answers the other one after it has told the watcher."""

    async def play(stage: Stage) -> None:
        watcher, other = await _pair(stage, "/a")
        await watcher.do("children", GetChildren("/a", True))
        await other.do("create", create("/a/x"))
        assert (await watcher.do("remove", RemoveWatches("/a"))).code == Error.NO_WATCHER
        await stage.deliver()
        assert watcher.said() == ["children", "event", "remove"] and watcher.events() == [("/a", CHILD)]

    on_stage(play)


def test_a_watch_that_stays_tells_what_was_pushed_even_if_the_list_is_cut_short() -> None:
    """They arrive during a read that shows something newer: late, but told, and once however often they come."""

    async def play(stage: Stage) -> None:
        shorten(stage)
        watcher, other = await _pair(stage, "/a", "/b")
        await watcher.do("watch", AddWatch("/a", watches.PERSISTENT))
        await other.do("set", SetData("/a", b"1", -1))
        for number in range(5):
            await other.do(number, SetData("/b", b"", -1))

        def arrive(number: int, name: str) -> None:
            for pushed in [pushed for pushed in stage.pushes if is_fired(pushed)]:
                stage.arrive(pushed)

        watcher.gateway.store.before = arrive
        await watcher.do("show", GetData("/b", False))
        await stage.deliver()
        assert watcher.events() == [("/a", CHANGED)]

    on_stage(play)


def test_a_trigger_log_is_decoded_once_for_all_answers_that_come_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of who has a watch and writes much at once, each answer brings as many triggers as there are answers."""
    decoded: List[int] = []

    def counted(values: Any) -> List[Trigger]:
        found = unpacked(values)
        decoded.append(len(found))
        return found

    async def play(stage: Stage) -> None:
        (one,) = [await stage.open()]
        await one.do("watch", Exists("/n7", True))
        monkeypatch.setattr(messages, "unpacked", counted)
        for number in range(100):
            one.session.submit(number, create("/n%d" % number))
        while len(one.said()) < 102:
            await rest()
            await stage.write()
            await stage.deliver()
        assert one.said()[:11] == ["watch", *range(7), "event", 7, 8] and one.events() == [("/n7", CREATED)]

    on_stage(play)
    assert decoded and sum(decoded) < 1000
