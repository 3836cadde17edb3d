"""Reads a deployment's store directly, for what no client's request shows: sessions, and kinds of node."""

from __future__ import annotations

import asyncio
from typing import Any, Coroutine, TypeVar

from fk_backend.ports import AdminPorts
from fk_backend.providers import provider

from .url import DeploymentUrl

T = TypeVar("T")


class AdminStore:
    """In an event loop of its own; of one thread, and to be closed. BackendError."""

    def __init__(self, url: DeploymentUrl) -> None:
        self._url = url
        self._loop = asyncio.new_event_loop()
        try:
            self._admin_ports: AdminPorts = self._wait(
                provider(url.scheme).administer(url.deployment, url.settings(), False)
            )
        except BaseException:
            self._loop.close()
            raise

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)

    def close(self) -> None:
        """Gives the store back."""
        self._loop.run_until_complete(self._admin_ports.close())
        self._loop.close()
