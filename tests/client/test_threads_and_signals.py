"""Calls meet stop(), other threads, signals: as with kazoo on a ZooKeeper, an answer or an error, soon.

The programs are in processes of their own: they are sent signals, and lose their files. Every line at which that can
happen is `test_interruptions`' part.
"""

from __future__ import annotations

from typing import Callable

import pytest

from tests.client.programs.support import Program

Run = Callable[..., Program]


def _runs(run: Run, *arguments: str) -> None:
    program = run("threads_and_signals", *arguments)
    assert program.end(90) == 0, "\n".join(program.output[-40:])
    assert program.output[-1] == "done", program.output


@pytest.mark.parametrize("handler", ["threading", "gevent", "eventlet"])
def test_a_stopped_client_refuses_calls_any_number_of_times(url: str, run: Run, handler: str) -> None:
    """More of them than a pipe has room for; and so does one that is closed, or whose credentials were refused."""
    if handler != "threading":
        pytest.importorskip(handler, reason="%s is not installed" % handler)
    _runs(run, "after_stop", handler, url)


def test_stop_while_other_threads_read(url: str, run: Run) -> None:
    """They get their own answers, or are told that the client is closed; no thread dies."""
    _runs(run, "while_reading", "threading", url)


def test_stop_in_the_handler_of_a_signal(url: str, run: Run) -> None:
    """While the main thread reads: at once."""
    _runs(run, "in_handler", "threading", url)


def test_what_the_handler_of_an_alarm_raises_comes_out_of_the_call(url: str, run: Run) -> None:
    """And the client goes on as if nothing had been."""
    _runs(run, "alarms", "threading", url)
