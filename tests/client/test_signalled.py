"""A call meets a signal's handler that raises or stops the client; a stopped client is called; a path has a NUL."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any, Callable, Dict, List

import pytest
from kazoo.exceptions import BadArgumentsError, ConnectionClosedError, ConnectionLoss, NoNodeError
from kazoo.handlers.eventlet import SequentialEventletHandler
from kazoo.handlers.gevent import SequentialGeventHandler
from kazoo.handlers.threading import SequentialThreadingHandler

from tests.client.programs.support import Program, within

Connect = Callable[..., Any]
Run = Callable[..., Program]
STOPS = 25
AT_ONCE_S = 2.0
"""Of 13 s that it took; the close is answered in milliseconds, on a machine that does nothing else."""


@pytest.mark.parametrize("scheme", ["memory", "local"])
def test_what_a_handler_raises_comes_out_of_the_call(run: Run, local_url: str, scheme: str) -> None:
    program = run("signalled", "raise", local_url if scheme == "local" else "memory://signalled")
    assert program.end(60) == 0, "\n".join(program.output[-15:])
    assert "caught" in program.output[-1], program.output


@pytest.mark.parametrize("scheme", ["memory", "local"])
def test_stop_in_a_handler(run: Run, local_url: str, scheme: str) -> None:
    program = run("signalled", "stop", local_url if scheme == "local" else "memory://signalled")
    assert program.end(60) == 0, "\n".join(program.output[-15:])
    words = program.output[-1].split()
    assert words[:2] == ["stopped", "LOST"] and float(words[3]) < AT_ONCE_S, program.output


@pytest.mark.parametrize("kind", [SequentialThreadingHandler, SequentialGeventHandler, SequentialEventletHandler])
def test_a_stopped_client_says_so_any_number_of_times(url: str, connect: Connect, kind: Any) -> None:
    client = connect(url, handler=kind())
    client.stop()

    def calls() -> None:
        for _ in range(1000):
            with pytest.raises(ConnectionClosedError):
                client.exists("/")

    if kind is SequentialThreadingHandler:
        within(20, calls)
    else:
        calls()  # a hub belongs to its thread; what hangs is ended by the test's time limit


def test_stop_while_other_threads_read(url: str, make: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    client, done = make(url), threading.Event()
    wrong: Dict[str, int] = Counter()
    monkeypatch.setattr(threading, "excepthook", lambda args: wrong.update({"died of %s" % args.exc_type.__name__: 1}))

    def read() -> None:
        while not done.is_set():
            try:
                if client.exists("/") is None:
                    wrong["answered None"] += 1
            except (ConnectionClosedError, ConnectionLoss):
                pass
            except Exception as error:
                wrong[type(error).__name__] += 1

    readers: List[threading.Thread] = [threading.Thread(target=read, daemon=True) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(STOPS):
        client.start()
        for _ in range(20):
            client.exists("/")
        within(20, client.stop)
    done.set()
    for reader in readers:
        reader.join(20)
    assert not wrong and not any(reader.is_alive() for reader in readers)


def test_a_nul_in_a_path_as_zookeeper_answers_it(url: str, connect: Connect) -> None:
    client = connect(url)
    with pytest.raises(BadArgumentsError):
        client.exists("/nul\0")
    for call in (client.get, client.get_children, client.get_acls):
        with pytest.raises(NoNodeError):
            call("/nul\0")


def test_a_handler_asks_between_a_request_and_its_wake_up(url: str, connect: Connect) -> None:
    """kazoo's thread takes one request for each byte in its pipe, and the byte of the handler's caller is not there."""
    client = connect(url)
    connection = client._connection
    pipe, answered = connection._write_sock, []

    class Interrupted:
        """The end of the pipe that a call writes to; a signal comes right before the first byte."""

        def send(self, data: bytes) -> int:
            connection._write_sock = pipe
            answered.append(client.sync_async("/").get(10))
            sent: int = pipe.send(data)
            return sent

    connection._write_sock = Interrupted()
    client.add_auth("digest", "user:secret")
    assert answered == ["/"]
