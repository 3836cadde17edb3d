"""Mistakes of the functions: the order of commit and fan-out, what comes again, leases."""

from __future__ import annotations

from typing import Any, List

from fk_backend import layout
from fk_backend.core import apply
from fk_backend.core.model import Blob
from fk_backend.core.requests import StopTicking
from fk_backend.functions import heartbeat, writer
from fk_backend.messages import Position
from fk_backend.ports import Remove
from fk_backend.providers import dispatch
from fk_backend.providers.aws import ticks
from fk_backend.writer import distributor, loading, step, watch
from fk_backend.writer.cache import Cache

from .bug import plant, swap
from .edited import changed

W = writer.Writer
writes_of, entries, next_head, wake, commit = step.writes_of, writer._entries, step._next_head, W._wake, W._commit
advance, remove_leftovers, keep, forgive = (
    Cache.advance,
    distributor.remove_leftovers,
    distributor.keep,
    heartbeat.Heartbeat._give_time_back,
)
know = Cache._know
memory_of, holder_key = ticks.Memory.of, layout.holder_key
sessions, registrations = heartbeat.Heartbeat._sessions, distributor.registrations
answer_notes = distributor.answer_notes


@plant("a commit does not ask whether the head has moved", (step, "writes_of"))
def unconditional_commit(*arguments: Any) -> List[Any]:
    first, *rest = writes_of(*arguments)
    return [first._replace(expect=None), *rest]


@plant("messages have no sequence: a late writer applies its batch again", (writer, "_entries"))
def no_sequence(messages: Any, done: Any) -> Any:
    return [entry._replace(position=Position()) for entry in entries(messages, done)]


@plant("the head does not keep the answers of its commit", (step, "_next_head"))
def answers_not_kept(*arguments: Any) -> Any:
    return next_head(*arguments)._replace(answers=())


@plant("a commit says of itself that it was fanned out", (step, "_next_head"))
def confirmed_before_fan_out(*arguments: Any) -> Any:
    head = next_head(*arguments)
    return head._replace(confirmed=head.zxid)


@plant("answers are sent before the commit", (W, "_commit"))
async def answered_before_commit(self: Any, writes: Any, promise: Any) -> None:
    head = layout.head_of(writes[0].item)
    trigger_log = writer.trigger_log_of(head.zxid, head.since, head.triggers)
    await self._ports.inboxes.push(writer.answer_notes(head.answers, trigger_log))
    await commit(self, writes, promise)


@plant("what a crash left to be told is not told", (W, "_wake"))
async def fan_out_not_done_again(self: Any, ns: str, messages: Any) -> Any:
    head = await loading.load_head(self._ports, ns)
    self._fan_out.note(ns, 0 if head is None else head.zxid)
    return await wake(self, ns, messages)


swap(
    "nothing new to tell",
    "a batch of nothing tells what its instance knew, and not what another one has left",
    (W, "__call__", changed(W, "__call__", "if not messages:", "if False:")),
)


@plant("failures are answered from what was known, without a look at the head", (W, "_confirm"))
async def failures_not_confirmed(self: Any, ns: str, cache: Any) -> None:
    return None


@plant("what an instance knows of families is not brought up to date", (Cache, "advance"))
def families_go_stale(self: Any, changes: Any, *more: Any) -> None:
    before = {path: self.snapshot.nodes.get(path) for path in changes.families if path not in changes.nodes}
    advance(self, changes, *more)
    self.snapshot.nodes.update((path, pair) for path, pair in before.items() if pair)


@plant("what an instance knows of nodes is not brought up to date", (Cache, "advance"))
def nodes_go_stale(self: Any, changes: Any, *more: Any) -> None:
    before = {path: self.snapshot.nodes.get(path) for path in changes.nodes}
    advance(self, changes, *more)
    self.snapshot.nodes.update((path, pair) for path, pair in before.items() if pair)


@plant("a child that went still counts among those that are known", (Cache, "_know"))
def still_known(self: Any, path: str, pair: Any) -> None:
    before = dict(self._children)
    know(self, path, pair)
    self._children.update((above, max(count, before.get(above, 0))) for above, count in self._children.items())


@plant("a promised node is not written when its writer died", (writer, "complete_reservation"))
async def promise_broken(ports: Any, ns: str, head: Any, messages: Any) -> Any:
    return head


@plant("registrations are dropped whatever their number", (distributor, "drop_fired"))
async def newer_registration_dropped(ports: Any, hits: Any) -> None:
    for hit in hits:
        if watch.watches.is_one_shot(hit.mode):
            await ports.store.commit([Remove(hit.key)])


swap("events are not pushed", "who only waits never hears", (distributor, "fired_notes", lambda hits, trigger_log: []))


@plant(
    "an answer does not tell what it set off: it overtakes the events of its own session", (distributor, "answer_notes")
)
def answers_without_triggers(answers: Any, trigger_log: Any) -> Any:
    return answer_notes(answers, trigger_log._replace(text="[]"))


@plant("only the first connection that watches is told", (distributor, "fired_notes"))
def one_watcher_is_told(hits: Any, trigger_log: Any) -> Any:
    return watch.fired_notes(hits, trigger_log)[:1]


@plant("registrations and beats of sessions that ended stay", (distributor, "remove_leftovers"))
async def ended_sessions_leave_litter(ports: Any, ns: str, head: Any, hits: Any) -> None:
    await distributor.drop_fired(ports, hits)


@plant("registrations are looked at before the commit", (W, "_commit"), (distributor, "registrations"))
async def looked_before_commit(*arguments: Any) -> Any:
    if isinstance(arguments[0], W):
        self, writes, promise = arguments
        head = layout.head_of(writes[0].item)
        ns = writes[0].key.partition[:-1]
        fresh = [trigger for trigger in head.triggers if trigger.zxid > head.confirmed]
        _seen[head.zxid] = await registrations(self._ports, ns, fresh, head.subtrees) if fresh else []
        return await commit(self, writes, promise)
    zxid = arguments[2][-1].zxid
    return _seen.pop(zxid) if zxid in _seen else await registrations(*arguments)


_seen: Any = {}


@plant("the head forgets triggers and does not say so", (step, "keep"))
def forgets_silently(triggers: Any, confirmed: int, most_bytes: int) -> Any:
    return keep(triggers, confirmed, most_bytes)[0], 0


@plant("the head forgets triggers that were not told yet", (step, "keep"))
def forgets_the_unconfirmed(triggers: Any, confirmed: int, most_bytes: int) -> Any:
    return (), max((trigger.zxid for trigger in triggers), default=0)


@plant("sessions are given up after half their timeout", (heartbeat.Heartbeat, "_sessions"))
async def half_the_timeout(self: Any, ns: str) -> Any:
    return {one: heartbeat.Lease(lease.timeout_s / 2) for one, lease in (await sessions(self, ns)).items()}


@plant("sessions are given up after twice their timeout", (heartbeat.Heartbeat, "_sessions"))
async def twice_the_timeout(self: Any, ns: str) -> Any:
    return {one: heartbeat.Lease(lease.timeout_s * 2) for one, lease in (await sessions(self, ns)).items()}


@plant("nobody is ever given up", (heartbeat.Heartbeat, "_sessions"))
async def never_given_up(self: Any, ns: str) -> Any:
    return dict.fromkeys(await sessions(self, ns), heartbeat.Lease(1e9))


@plant(
    "counters of no session are not swept",
    (heartbeat.Heartbeat, "_remove_orphaned_counters"),
    (distributor, "remove_leftovers"),
)
async def beats_leak(*arguments: Any) -> None:
    return None


@plant("who is told of an expiry is not told", (distributor, "remove_leftovers"))
async def moved_inboxes_stay(ports: Any, ns: str, head: Any, hits: Any) -> None:
    await remove_leftovers(ports, ns, head._replace(moved=()), hits)


# --- poison, blobs, beats that are dear -------------------------------------------------------------


@plant("who sent what can't be handled is not told", (dispatch.Dispatcher, "_tell"))
async def poison_in_silence(self: Any, ns: str, notes: Any) -> None:
    return None


@plant("what shares a batch with poison is set aside with it", (dispatch.Dispatcher, "_handle"))
async def poison_not_isolated(self: Any, ns: str, batch: Any) -> None:
    failure = await self._attempt(ns, batch)
    for waiting in batch if failure is not None else ():
        await self._set_aside(ns, waiting, failure)


@plant("blobs that nothing names any more are not removed", (step, "garbage"))
def blobs_leak(cache: Any, changes: Any) -> Any:
    return ()


@plant("what a node names now is removed with what it named before", (step, "garbage"))
def blobs_removed_too_early(cache: Any, changes: Any) -> Any:
    return tuple(node.data.key for node in changes.nodes.values() if node is not None and isinstance(node.data, Blob))


@plant("a node names what its client laid down, which expires", (step, "keep_large"))
async def uploads_not_kept(*arguments: Any) -> None:
    return None


@plant("what the heartbeat of the cloud sends is not taken for its own", (ticks.Orders, "gave"))
async def orders_not_found(self: Any, ns: str, sent_id: str) -> bool:
    return False


@plant("the heartbeat does not look whether a session owns something", (heartbeat.Heartbeat, "_has_rows"))
async def owners_are_not_seen(self: Any, partition: str) -> bool:
    return False


@plant("nobody wakes the heartbeat", (step, "_is_quiescent"), (writer.Writer, "_may_have_stopped"))
def never_woken(*arguments: Any) -> bool:
    return False


@plant("an older message of ticks goes on beside the latest", (ticks.Memory, "of"))
def every_message_goes_on(item: Any) -> Any:
    return memory_of(item)._replace(sent=(0, ""))


@plant("who owns something is not listed", (layout, "holder_key"))
def listed_elsewhere(ns: str, session: int) -> Any:
    return holder_key(ns, session + 1)


@plant("the heartbeat rests although something came since it looked", (apply._OF_NONE, StopTicking))  # type: ignore[arg-type]
def rests_too_soon(view: Any, request: Any) -> None:
    if view.snapshot.ticking:
        view.stop_ticking()


@plant("a heartbeat that was late counts that against everybody", (heartbeat.Heartbeat, "_give_time_back"))
def lateness_not_forgiven(self: Any, watched: Any, now: float) -> None:
    return None
