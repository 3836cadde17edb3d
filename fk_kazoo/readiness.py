"""How kazoo's thread is woken, and whether the files that it selects on are still its own.

Somebody else may close them (a daemon that closes all files, a fork): then the thread's connection is lost, or left
behind, and the thread ends without touching what is another one's by now.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any, List, Optional, Tuple

from fk_backend.providers.descriptors import Descriptor

from . import loop_thread
from .channel import CallerRequest, Channel
from .wakeup_socket import WakeupSocket
from .why import STILL_S


class Detached(Exception):
    """The thread's connection is not its client's any more. kazoo lets it pass."""


class Selecting:
    """A handler for the thread that selects: somebody else may have closed what it selects on."""

    def __init__(self, handler: Any, connection: Readiness) -> None:
        self._handler = handler
        self._connection = connection

    def select(self, *args: Any, **kwargs: Any) -> Any:
        """As the handler's. Detached if there is nothing to select on any more."""
        began, longest_s = time.monotonic(), args[3] if len(args) > 3 else None
        try:
            ready = self._handler.select(*args, **kwargs)
        except (OSError, ValueError, TypeError):
            self._connection.check_files()
            raise
        now = time.monotonic()
        if longest_s is not None and now - began - longest_s > STILL_S:
            self._connection.last_pause = (now - began, now)
        self._connection.raise_if_detached()
        return ready

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handler, name)


class Readiness:
    """The part of `connection.DeploymentConnection` that does that."""

    _connection_routine: Any
    _ended: Any
    _opening: Optional[loop_thread.Opening]
    _read_sock: Any
    _socket: Any
    _socket_error_handling: Any
    _write_sock: Any
    client: Any
    connection_stopped: Any
    handler: Any
    logger: Any
    _channel: Optional[Channel] = None
    _ready_channel: Optional[Channel] = None
    """The channel, once its greetings are answered, where reads need not wait for anything else."""
    _left_because = ""
    """Why it was left behind: "forked" or "lost"."""
    _pair: Tuple[Descriptor, ...] = ()
    """What kazoo's pair of sockets stands for."""

    last_pause = (0.0, 0.0)
    """For how many seconds this process did not run, the last time, and when that ended, on the monotonic clock."""

    def has_its_files(self) -> bool:
        """Whether nobody else closed its files."""
        pair, channel = self._pair, self._channel
        if all(each.is_ours() for each in pair) and (channel is None or channel.socket.is_ours()):
            return True
        # Else they have been closed in the ordinary way meanwhile.
        return pair is not self._pair or channel is not self._channel

    def check_files(self) -> None:
        """Something is wrong with what was selected on. Detached if somebody else closed it."""
        loop_thread.ensure_own_process()
        if not self._left_because and not self.has_its_files():
            loop_thread.abandon_connection(self.client, self)
        self.raise_if_detached()

    def raise_if_detached(self) -> None:
        """Detached if this thread's connection is not its client's any more."""
        if self._left_because:
            raise Detached

    def wake(self) -> None:
        """Wakes kazoo's thread once more, in case that somebody was interrupted before he did."""
        bell = self._write_sock
        if bell is not None and all(each.is_ours() for each in self._pair):
            with contextlib.suppress(OSError, ValueError, TypeError):
                if self.client.handler.select([], [bell], [], 0)[1]:  # one that is full of wake-ups wakes it
                    bell.send(b"\0")

    def empty_pipe(self) -> None:
        """Takes some of the wake-up bytes of requests that will not be sent."""
        if self._read_sock is not None and self.handler.select([self._read_sock], [], [], 0)[0]:
            self._read_sock.recv(64)

    def hang_up(self) -> None:
        """Hangs up: kazoo sees the connection lost and connects again."""
        sock = self._socket
        if sock is not None:
            sock.close()

    def leave_behind(self, client: Any, forked: bool) -> List[CallerRequest]:
        """What still runs of this ends, with a client that nobody has. What callers had sent.

        That is greenlets that cross a fork, or the thread whose files somebody else closed. In a child the sockets are
        the parent's too: they are closed here, and nothing is read from them. But for eventlet's: to close one is to
        tell its hub, which parent and child have in common until the child makes its own.
        """
        channel, opening = self._channel, self._opening
        runs = self._connection_routine is not None and not self._ended.is_set()
        self.client, self.logger, self._left_because = client, client.logger, "forked" if forked else "lost"
        self._channel = self._ready_channel = self._opening = None
        asked: List[CallerRequest] = []
        if channel is not None:
            asked = channel.close()
        if runs and not forked:
            self.hang_up()  # what it selects on is closed when it has seen that: else it would not be woken
            self.wake()
        else:
            if channel is not None:
                channel.socket.discard()
            if not type(self._read_sock).__module__.startswith("eventlet."):
                self._end_pair()
        if not forked:
            thread = loop_thread.current()
            if channel is not None:
                thread.call(channel.hang_up)
                channel.stop_waking()
            if opening is not None:
                thread.call(thread.release, opening)
            self._connection_routine = None
            self.connection_stopped.set()
            self._ended.set()
        return asked

    def _await_wakeup(self, timeout: float) -> None:
        with self._socket_error_handling():
            if not self.handler.select([self._socket], [], [], timeout)[0]:
                raise self.handler.timeout_exception("socket time-out during read")

    def _end_pair(self) -> None:
        ends, self._read_sock, self._write_sock = (self._read_sock, self._write_sock), None, None
        pair, self._pair = self._pair, ()
        for end, descriptor in zip(ends, pair):
            if end is not None:
                loop_thread.end(end, descriptor)

    def _end_all(self) -> None:
        """Of who was left behind."""
        sock = self._socket
        if isinstance(sock, WakeupSocket):
            sock.discard()
        self._end_pair()
