"""The two ends of a copy: each a URL of a deployment or a ZooKeeper, or the path of a dump file."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
from types import TracebackType
from typing import Any, FrozenSet, Optional, Sequence, Set, Tuple, Type, Union

from fk_backend.errors import BackendError
from fk_kazoo.moving.client_endpoint import ClientEndpoint, Rule
from fk_kazoo.moving.dump import DumpEndpoint
from fk_kazoo.moving.store_reader import StoreReader

from .target import ZK, Target, make_chroot

AnyEndpoint = Union[ClientEndpoint, DumpEndpoint]


def is_url(text: str) -> bool:
    """Whether it is no file."""
    return "://" in text


def where(text: str) -> Tuple[FrozenSet[str], str]:
    """What stands for the place, of which any is enough, and where in it: ``""``, or the chroot. BadUrl."""
    if not is_url(text):
        return frozenset([os.path.realpath(text)]), ""
    if text.lower().startswith(ZK):
        from .zookeeper import hosts_of

        hosts, slash, chroot = hosts_of(text).partition("/")
        return frozenset(ZK + one for one in hosts.split(",")), slash + chroot
    from fk_kazoo.url import parse

    url = parse(text)
    return frozenset([str(dataclasses.replace(url, chroot=""))]), url.chroot


def is_same(one: FrozenSet[str], other: FrozenSet[str]) -> bool:
    """Whether they stand for the same place: a ZooKeeper's hosts, also where the same ones have other names."""
    if one & other or not all(text.startswith(ZK) for text in one | other):
        return bool(one & other)
    return bool(_addresses(one) & _addresses(other))


def _addresses(hosts: FrozenSet[str]) -> Set[Tuple[str, int]]:
    found = set()
    for text in hosts:
        host, _, port = text[len(ZK) :].rpartition(":")
        with contextlib.suppress(OSError, UnicodeError):  # who is not known can't be compared, or connected to
            for each in socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM):
                found.add((str(each[4][0]), int(port)))
    return found


class Endpoints:
    """Opens sides, and closes all of them at its end."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "Endpoints":
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._stack.close()

    def open(self, target: Target, make: bool = False, rules: Sequence[Rule] = ()) -> AnyEndpoint:
        """The side that a place's URL, or path, stands for."""
        if not is_url(target.url):
            return DumpEndpoint(target.url)
        client = self._stack.enter_context(target.client(make))
        if client.chroot and make:
            make_chroot(client)
        return self.of_client(client, target, rules)

    def of_client(self, client: Any, target: Target, rules: Sequence[Rule] = (), info: bool = True) -> ClientEndpoint:
        """The side of a connected client. ``say``: whether it matters if kinds are not known."""
        if target.is_zookeeper:
            return ClientEndpoint(client, None, rules)
        client.exists("/")  # behind the credentials: the session is who it will be
        try:
            stored = StoreReader(target.deployment, client._connection.identities)
        except BackendError as error:
            if info:
                target.info("containers and TTL nodes can't be told from others: %s" % error)
            return ClientEndpoint(client, None, rules)
        self._stack.callback(stored.close)
        return ClientEndpoint(client, stored, rules)
