"""ZooKeeper's four letter words, and its metrics: the gateway's own figures, and counts of the deployment.

Counts take a read of the whole deployment, so they are shared, and up to `TALLY_S` old: who asks all the time costs no
more than who asks now and then.
"""

from __future__ import annotations

import asyncio
import os
import platform
import time
from collections import defaultdict
from typing import Callable, Dict, Iterable, List, Optional, Union

from fk_backend import layout
from fk_backend.errors import BackendError, NotAllowed
from fk_backend.functions.words import VERSION, Tally, answer_word, tally
from fk_backend.ports import Gateway

from .figures import Connected, Figures, Seen
from .settings import Settings

TALLY_S = 10.0
"""So old counts may be. They are kept longer where they take long: a tenth of the time at most goes into them."""
WORD_S = 10.0
NOT_SERVING = "This ZooKeeper instance is not currently serving requests\n"
_NOT_ANSWERED = "%s is not executed because it is not in the whitelist.\n"
Figure = Union[int, float]


class Words:
    """Of one gateway. ``connections``: what there is at the moment."""

    def __init__(
        self, gateway: Gateway, settings: Settings, figures: Figures, connections: Callable[[], Iterable[Connected]]
    ) -> None:
        self._gateway = gateway
        self._settings = settings
        self._figures = figures
        self._connections = connections
        self._counts: Optional["asyncio.Future[Optional[Tally]]"] = None
        self._counted, self._counts_last_s = 0.0, TALLY_S

    async def answer(self, word: str) -> str:
        """As on the port; one that is not allowed is told so, as ZooKeeper does."""
        allowed = self._settings.words
        if word not in allowed and "*" not in allowed:
            return _NOT_ANSWERED % word
        try:
            return await asyncio.wait_for(self._answer(word), WORD_S)
        except (BackendError, OSError, asyncio.TimeoutError):
            return "ro" if word == "isro" else NOT_SERVING

    async def _answer(self, word: str) -> str:
        if word in ("srvr", "stat"):
            clients = "Clients:\n%s\n" % self._clients() if word == "stat" else ""
            return "Zookeeper version: %s\n%s%s" % (VERSION, clients, await self._state())
        if word == "mntr":
            figures = await self.metrics()
            told = {"zk_version": VERSION, "zk_server_state": "standalone"}
            return "".join("%s\t%s\n" % each for each in told.items()) + "".join(
                "zk_%s\t%s\n" % each for each in figures.items()
            )
        own = {
            "cons": self._cons, "crst": self._crst, "srst": self._srst, "conf": self._conf, "wchs": self._wchs,
            "wchc": self._wchc, "wchp": self._wchp,
        }.get(word)  # fmt: skip
        if own is not None:
            return own()
        asked = answer_word(self._gateway, self._settings.namespace, word, self._settings.url, platform.node())
        return await asked or _NOT_ANSWERED % word

    async def check(self) -> None:
        """That the deployment can be reached. BackendError, OSError or asyncio.TimeoutError."""
        await asyncio.wait_for(self._gateway.check(), WORD_S)

    async def metrics(self) -> Dict[str, Figure]:
        """Name → value, under ZooKeeper's names. What can't be counted here is left out. BackendError, OSError."""
        figures, seen = self._figures, self._seen()
        least, mean, most = figures.latency_ms()
        found: Dict[str, Figure] = {
            "uptime": figures.uptime_ms(), "min_latency": least, "avg_latency": mean, "max_latency": most,
            "packets_received": figures.received, "packets_sent": figures.sent,
            "num_alive_connections": len(seen), "outstanding_requests": sum(each.outstanding for each in seen),
            "connection_rejected": figures.rejected, "auth_failed_count": figures.auth_failed,
            "large_requests_rejected": figures.too_large,
        }  # fmt: skip
        if os.path.isdir("/proc/self/fd"):
            import resource

            found["open_file_descriptor_count"] = len(os.listdir("/proc/self/fd"))
            found["max_file_descriptor_count"] = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        counts = await self._tally()
        if counts is not None:
            found["znode_count"] = counts.nodes
            found["ephemerals_count"] = sum(map(len, counts.ephemerals.values()))
            found["approximate_data_size"] = counts.data_bytes
            found["watch_count"] = len(counts.watches)
            found["global_sessions"] = len(counts.sessions)
        return found

    # --- counts of the deployment ---------------------------------------------------------------

    async def _tally(self) -> Optional[Tally]:
        """None where these credentials can't read everything."""
        now = time.monotonic()
        if self._counts is None or (self._counts.done() and now - self._counted > self._counts_last_s):
            self._counts = asyncio.ensure_future(self._count())
        return await asyncio.shield(self._counts)

    async def _count(self) -> Optional[Tally]:
        started = time.monotonic()
        try:
            return await tally(self._gateway, self._settings.namespace)
        except NotAllowed:
            return None
        except BaseException:
            self._counts = None
            raise
        finally:
            self._counted = time.monotonic()
            self._counts_last_s = max(TALLY_S, 10 * (self._counted - started))

    async def _state(self) -> str:
        figures, seen = self._figures, self._seen()
        counts = await self._tally()
        (head,) = await self._gateway.store.get([layout.head_key(self._settings.namespace)])
        lines = [
            "Latency min/avg/max: %d/%s/%d" % figures.latency_ms(),
            "Received: %d" % figures.received,
            "Sent: %d" % figures.sent,
            "Connections: %d" % len(seen),
            "Outstanding: %d" % sum(each.outstanding for each in seen),
            "Zxid: 0x%x" % (0 if head is None else head.rev),
            "Mode: standalone",
            *([] if counts is None else ["Node count: %d" % counts.nodes]),
        ]
        return "\n".join(lines) + "\n"

    # --- the gateway's own ----------------------------------------------------------------------

    def _seen(self) -> List[Seen]:
        return [each.seen() for each in self._connections()]

    def _clients(self) -> str:
        return "".join(
            " /%s:%d[%d](queued=%d,recved=%d,sent=%d)\n"
            % (each.address, each.port, bool(each.session), each.outstanding, each.received, each.sent)
            for each in self._seen()
        )

    def _cons(self) -> str:
        return "".join(
            " /%s:%d[%d](queued=%d,recved=%d,sent=%d,sid=0x%x,to=%d)\n"
            % (each.address, each.port, bool(each.session), *each[4:7], each.session, each.timeout_ms)
            for each in self._seen()
        )

    def _crst(self) -> str:
        for each in self._connections():
            each.recount()
        return "Connection stats reset.\n"

    def _srst(self) -> str:
        self._figures.reset()
        return "Server stats reset.\n"

    def _conf(self) -> str:
        settings = self._settings
        told = (settings.port, settings.host, settings.max_connections, settings.max_request_bytes, settings.url)
        return "clientPort=%d\nclientPortAddress=%s\nmaxClientCnxns=%d\njute.maxbuffer=%d\ndeployment=%s\n" % told

    def _wchs(self) -> str:
        watching = [each.watched for each in self._seen() if each.watched]
        paths = {path for watched in watching for path in watched}
        told = (len(watching), len(paths), sum(len(set(watched)) for watched in watching))
        return "%d connections watching %d paths\nTotal watches:%d\n" % told

    def _wchc(self) -> str:
        watching = {each.session: sorted(set(each.watched)) for each in self._seen() if each.watched}
        return "".join("0x%x\n%s" % (session, _below(paths)) for session, paths in sorted(watching.items())) + "\n"

    def _wchp(self) -> str:
        watching = defaultdict(list)
        for each in self._seen():
            for path in set(each.watched):
                watching[path].append("0x%x" % each.session)
        return "".join("%s\n%s" % (path, _below(sessions)) for path, sessions in sorted(watching.items())) + "\n"


def _below(lines: Iterable[str]) -> str:
    return "".join("\t%s\n" % line for line in lines)
