"""A crowd at one lock: each release wakes one of those who wait, and nobody asks again and again."""

from __future__ import annotations

import threading
from typing import Any, Callable, List, Set

import pytest

from fk_backend.providers.dispatch import Dispatcher
from fk_backend.writer import distributor
from tests.client.programs.support import within

CROWD = 8


def test_a_release_wakes_one_of_those_who_wait(
    monkeypatch: pytest.MonkeyPatch, connect: Callable[..., Any], url: str
) -> None:
    """Counted where events and requests pass, in a deployment of this process."""
    woken: Set[object] = set()
    """By whoever commits, and by the host once more where he can't reach them."""
    written: List[str] = []
    fired_notes, accept = distributor.fired_notes, Dispatcher.accept

    def noted(hits: Any, board: Any) -> Any:
        hits = list(hits)
        woken.update(hits)
        return fired_notes(hits, board)

    def accepted(self: Dispatcher, ns: str, message_id: str, *rest: Any, **options: Any) -> None:
        written.append(message_id)
        accept(self, ns, message_id, *rest, **options)

    clients = [connect(url) for _ in range(CROWD + 1)]
    first = clients.pop().Lock("/lock")
    first.acquire()
    locks = [client.Lock("/lock") for client in clients]
    threads = [threading.Thread(target=_take_a_turn, args=(lock,)) for lock in locks]
    for thread in threads:
        thread.start()
    within(30, lambda: _joined(first, threads))
    monkeypatch.setattr(distributor, "fired_notes", noted)
    monkeypatch.setattr(Dispatcher, "accept", accepted)
    first.release()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert 0 < len(woken) <= CROWD, woken
    assert len(written) <= 1 + CROWD, written  # what each deletes, and nothing else


def _joined(lock: Any, threads: List[threading.Thread]) -> None:
    while len(lock.contenders()) < 1 + CROWD:
        threads[0].join(0.01)


def _take_a_turn(lock: Any) -> None:
    with lock:
        pass
