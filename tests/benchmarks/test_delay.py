"""A network in between delays what it hands on, and changes nothing of it."""

from __future__ import annotations

import os
import socket
import threading
import time

import pytest

from benchmarks.__main__ import main
from benchmarks.delay import HERE, DelayedPort


def test_all_comes_through_in_order_after_its_round_trip() -> None:
    listener = socket.create_server((HERE, 0))

    def echo() -> None:
        end, _ = listener.accept()
        with end:
            for data in iter(lambda: end.recv(1 << 16), b""):
                end.sendall(data)

    threading.Thread(target=echo, daemon=True).start()
    sent = os.urandom(1 << 20)
    with listener, DelayedPort(listener.getsockname()[1], 40.0) as port, socket.create_connection((HERE, port)) as end:
        started = time.monotonic()
        end.sendall(b"1")
        assert end.recv(1) == b"1"
        assert time.monotonic() - started >= 0.04
        threading.Thread(target=lambda: (end.sendall(sent), end.shutdown(socket.SHUT_WR)), daemon=True).start()
        assert b"".join(iter(lambda: end.recv(1 << 16), b"")) == sent


def test_what_has_no_server_has_no_network() -> None:
    with pytest.raises(SystemExit, match="local, memory"):
        main(["local", "--smoke", "--delay-ms", "1", "--systems", "zookeeper,local,memory"])
