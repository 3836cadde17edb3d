"""Connections to the primary: opened when they are needed, as few as there is work for, closed when they are idle.

Each one is prepared in the same way, whatever the database's or the role's own settings are. What is asked of it is one
statement, which is one transaction.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any, Callable, Dict, List, Optional, Tuple

import asyncpg

from ...eager import begin
from ...errors import DeploymentError, Unavailable
from .failures import DRIVER, at_connect, explain
from .place import Place
from .server import history

log = logging.getLogger(__name__)

AT_ONCE = 3
"""Connections for reads, and for writes, of one process at most. Most have work for one."""
IDLE_S = 20.0
"""So long a connection stays open that nobody needs, but for the last one, whose sessions' beats keep it open."""
CONNECT_S = 10.0
READ_S = 10.0
"""So long a read may take. A write waits as long as the server does: for a standby, above all."""

_SETTINGS: Dict[str, str] = {
    "default_transaction_isolation": "read committed",
    "enable_seqscan": "off",  # a plan that was made while a table was empty is kept when it is large
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",  # making a plan anew takes longer than what it is for
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_session_timeout": "0",
    "tcp_keepalives_idle": "4",  # a machine that is gone is noticed within 10 s, and with it its writer
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
_KEPT_ALIVE = {"TCP_KEEPIDLE": 4, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 10_000}
_PREPARE = (
    "SELECT set_config(name, value, false) FROM unnest($1::text[], $2::text[]) AS s (name, value) "
    "WHERE name IN (SELECT name FROM pg_settings)"
)
# What the server answered must be on its disk, whatever the role's own setting is.
_DURABLE = (
    "SELECT set_config('synchronous_commit', 'on', false) "
    "WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')"
)


class Connections:
    """Those of one process to one deployment. ``broken`` is called when one of them was lost.

    All of them are to the same server: what was read at one of them is written on condition of at another. ``moved`` is
    called when there is another one.
    """

    def __init__(
        self,
        place: Place,
        broken: Optional[Callable[[], None]] = None,
        moved: Optional[Callable[[], None]] = None,
    ) -> None:
        self._place = place
        self._broken = broken
        self._moved = moved
        self._identity = ""
        """Of the server's history, since `belong` was called."""
        self._idle: List[Tuple[Any, float]] = []
        """Each since when, by the loop's clock; the last one is taken first, so the first is not needed for longest."""
        self._thinning: Optional[asyncio.TimerHandle] = None
        self._free = {writing: asyncio.Semaphore(AT_ONCE) for writing in (False, True)}
        """Reads never wait for writes, which may wait for a standby."""
        self._closed = False

    async def open(self) -> Any:
        """A connection of the caller's own. Unavailable, DeploymentError."""
        try:
            connection = await asyncpg.connect(**self._place.arguments(), timeout=CONNECT_S)
        except (*DRIVER, ValueError, DeploymentError) as error:
            raise at_connect(error, self._place.shown) from None  # its context may hold what must not be told
        _keep_alive(connection)
        try:
            await connection.fetch(_PREPARE, list(_SETTINGS), list(_SETTINGS.values()))
            await connection.fetch(_DURABLE)
        except DRIVER as error:
            connection.terminate()
            raise at_connect(error, self._place.shown) from error
        return connection

    def belong(self, identity: str) -> None:
        """From here on it is that server; connections to another one are closed, or as soon as they are given back."""
        if identity != self._identity:
            self._identity = identity
            idle, self._idle = self._idle, []
            for connection, _ in idle:
                connection.terminate()

    async def read(self, sql: str, *arguments: Any) -> List[Any]:
        """The rows. Unavailable and DeploymentError."""
        return await self._run(sql, arguments, writing=False)

    async def write(self, sql: str, *arguments: Any) -> List[Any]:
        """The rows. Once it was sent, the statement is waited for, even if the caller is cancelled.

        A commit that is cancelled while it waits for a standby is kept, and seen by others before it is safe.
        """
        while self._idle and self._idle[-1][0].is_closed():
            self._idle.pop()
        start = begin if self._idle else asyncio.ensure_future  # who opens one asks for its own task
        answer: "asyncio.Future[List[Any]]" = asyncio.get_running_loop().create_future()
        start(self._answer(answer, sql, arguments))
        return await answer

    async def _answer(self, answer: "asyncio.Future[List[Any]]", sql: str, arguments: Any) -> None:
        """Whoever waits for it may be gone by then. A future, as each task that is waited for is a turn of the loop."""
        try:
            rows = await self._run(sql, arguments, writing=True)
        except Exception as error:
            if not answer.done():
                answer.set_exception(error)
        else:
            if not answer.done():
                answer.set_result(rows)
        finally:
            answer.cancel()  # if the loop ends before

    async def _run(self, sql: str, arguments: Any, writing: bool) -> List[Any]:
        async with self._free[writing]:
            identity = self._identity
            connection = await self._take()
            try:
                rows: List[Any] = await connection.fetch(sql, *arguments, timeout=None if writing else READ_S)
            except DRIVER as error:
                if not isinstance(error, asyncpg.PostgresError) or connection.is_closed():
                    connection.terminate()
                    if self._broken is not None:
                        self._broken()
                raise explain(error, writing) from error
            finally:
                if identity != self._identity:
                    connection.terminate()
                self._give_back(connection)
            return rows

    async def _take(self) -> Any:
        while self._idle:
            connection, _ = self._idle.pop()
            if not connection.is_closed():
                return connection
        if self._closed:
            raise Unavailable("the deployment is closed")
        identity, connection = self._identity, await self.open()
        if identity:
            try:
                is_there = (await history(connection)).identity == identity
            except DRIVER as error:
                connection.terminate()
                raise at_connect(error, self._place.shown) from error
            if not is_there:
                connection.terminate()
                if self._moved is not None:
                    self._moved()
                raise Unavailable("%s is another server now" % self._place.shown)
        return connection

    def _give_back(self, connection: Any) -> None:
        if connection.is_closed():
            return
        if self._closed:
            connection.terminate()
            return
        loop = asyncio.get_running_loop()
        self._idle.append((connection, loop.time()))
        if len(self._idle) > 1 and self._thinning is None:
            self._thinning = loop.call_later(IDLE_S, self._thin)

    def _thin(self) -> None:
        """Closes those that nobody has needed for long, but for the last one."""
        loop, self._thinning = asyncio.get_running_loop(), None
        while len(self._idle) > 1 and self._idle[0][1] + IDLE_S <= loop.time():
            self._idle.pop(0)[0].terminate()
        if len(self._idle) > 1:
            self._thinning = loop.call_at(self._idle[0][1] + IDLE_S, self._thin)

    async def close(self) -> None:
        """Closes all of them; what is under way ends with its connection."""
        self._closed = True
        if self._thinning is not None:
            self._thinning.cancel()
        idle, self._idle = self._idle, []
        for connection, _ in idle:
            try:
                await connection.close(timeout=1.0)
            except DRIVER:
                log.debug("a connection was not closed in time", exc_info=True)


def _keep_alive(connection: Any) -> None:
    """A server that is gone without a word is noticed, also where the driver would wait for as long as TCP does."""
    transport = getattr(connection, "_transport", None)
    sock = None if transport is None else transport.get_extra_info("socket")
    if sock is None or sock.family == getattr(socket, "AF_UNIX", None):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEPT_ALIVE.items():
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
