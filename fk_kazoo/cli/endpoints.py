"""The two ends of a copy: each a URL of a deployment or a ZooKeeper, or the path of a dump file."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from types import TracebackType
from typing import Any, Optional, Sequence, Tuple, Type, Union

from fk_backend.errors import BackendError
from fk_kazoo.moving.client_endpoint import ClientEndpoint, Rule
from fk_kazoo.moving.dump import DumpEndpoint
from fk_kazoo.moving.store_reader import StoreReader

from .target import ZK, Target

AnyEndpoint = Union[ClientEndpoint, DumpEndpoint]


def is_url(text: str) -> bool:
    """Whether it is no file."""
    return "://" in text


def where(text: str) -> Tuple[str, str]:
    """Equal for what is the same place, and where in it: ``""``, or the chroot. BadUrl."""
    if not is_url(text):
        return os.path.realpath(text), ""
    if text.lower().startswith(ZK):
        from .zookeeper import hosts_of

        hosts, slash, chroot = hosts_of(text).partition("/")
        return ZK + ",".join(sorted(hosts.split(","))), slash + chroot
    from fk_kazoo.url import parse

    url = parse(text)
    return str(dataclasses.replace(url, chroot="")), url.chroot


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
        if client.chroot:
            if make:
                client.ensure_path("/")
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
