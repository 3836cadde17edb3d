"""What a gateway is told when it starts."""

from __future__ import annotations

import ssl
from typing import FrozenSet, List, NamedTuple, Optional, Tuple

from .. import jute

DEFAULT_WORDS = frozenset({"srvr", "isro"})
"""The four letter words that ZooKeeper answers if nothing is said (``4lw.commands.whitelist``)."""


class Also(NamedTuple):
    """One more namespace of the same deployment, on a port of its own."""

    url: str
    namespace: str
    host: str
    port: int


class Settings(NamedTuple):
    """``url``: the deployment, for people to read. Sizes in bytes, times in seconds."""

    url: str
    namespace: str
    host: str = "127.0.0.1"
    port: int = 2181
    words: FrozenSet[str] = DEFAULT_WORDS
    """The four letter words that are answered; ``*`` among them: all."""
    max_connections: int = 60
    """Of one address; 0: any number (``maxClientCnxns``)."""
    max_total: int = 0
    """Of all addresses (``maxCnxns``); 0: as many as the process may have files open, but some."""
    max_request_bytes: int = jute.MAX_REQUEST_BYTES
    """``jute.maxbuffer``."""
    drain_s: float = 5.0
    """So long it waits, when it is told to end, for what is being done."""
    tls: Optional[ssl.SSLContext] = None
    admin: Optional[Tuple[str, int]] = None
    """Host and port of health and metrics over HTTP."""
    also: Tuple[Also, ...] = ()

    def each(self) -> List["Settings"]:
        """The settings of each namespace, this one first."""
        return [self, *(self._replace(**each._asdict()) for each in self.also)]
