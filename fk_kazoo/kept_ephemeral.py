"""`keep`: an ephemeral node that is made again when the session has expired, until it is given up."""

from __future__ import annotations

import logging
import os
from typing import Any, Optional

from kazoo.exceptions import ConnectionClosedError, KazooException, NodeExistsError, NoNodeError
from kazoo.protocol.states import KazooState
from kazoo.retry import ForceRetryError

from . import logs
from .held_nodes import uninterrupted


class KeptEphemeral:
    """A node that is there while this client is: ``with zk.keep("/services/web-1", b"10.0.0.7:80"):``.

    It is made again with every new session of the client, until `close`. If somebody else has made it meanwhile, it is
    made as soon as that one is gone. What somebody deletes stays deleted until the next session: it may be meant.
    A forked child keeps nothing of it.
    """

    def __init__(self, client: Any, path: str, value: bytes, acl: Any) -> None:
        self.path = path
        self.value = value
        """What it holds; see `set`."""
        self._client, self._acl = client, acl
        self._lock = client.handler.lock_object()
        self._session: Optional[int] = None
        """Of the node that is there."""
        self._closed = False
        self._pid = os.getpid()
        client.ensure_path(path.rpartition("/")[0] or "/")
        try:
            with self._lock:
                self._make()
        except BaseException:
            self._closed = True
            raise
        client.add_listener(self._on_state)
        self._on_state(client.state)

    @property
    def there(self) -> bool:
        """Whether the node was made in the session that the client has now."""
        return not self._closed and self._session is not None and self._session == self._client._session_id

    def set(self, value: bytes) -> None:
        """Changes what it holds, now and whenever it is made again."""
        if self._pid != os.getpid():
            return
        with self._lock:
            self.value = value
            if self.there:
                try:
                    self._client.retry(self._client.set, self.path, value)
                except NoNodeError:  # between two sessions, or deleted by somebody
                    pass

    def close(self) -> None:
        """Gives it up: it is deleted, and not made again. Does nothing from the second time on."""
        self._closed = True
        self._client.remove_listener(self._on_state)
        if self._pid != os.getpid():
            return
        with self._lock:
            if self._session is None or self._session != self._client._session_id:
                return
            self._session = None
            try:
                with uninterrupted():  # by a lock in whose body this is given up
                    self._client.retry(self._client.delete, self.path)
            except (NoNodeError, ConnectionClosedError):  # it went with the session
                pass

    def __enter__(self) -> KeptEphemeral:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _on_state(self, state: Any) -> Optional[bool]:
        """A state listener."""
        if self._closed or self._pid != os.getpid():
            return True
        if state == KazooState.CONNECTED and self._session != self._client._session_id:
            self._client.handler.spawn(self._make_again)
        return None

    def _on_node_event(self, event: Any) -> None:
        """A watch function: whoever had the node before has given it up, perhaps."""
        self._on_state(self._client.state)

    def _make_again(self) -> None:
        with self._lock:
            while not self._closed and self._client.connected and not self.there:
                try:
                    self._make()
                    logs.log_limited(self._client, logging.INFO, "made again in a new session", self.path)
                except NodeExistsError:
                    if self._client.exists(self.path, watch=self._on_node_event):
                        logs.log_limited(
                            self._client, logging.WARNING, "somebody else has made it, it is waited for", self.path
                        )
                        return
                except KazooException as error:
                    logs.log_limited(self._client, logging.WARNING, "could not be made again: %r", self.path, error)
                    return  # closed, or not allowed; a lost connection or session comes with a state of its own

    def _make(self) -> None:
        self._session = self._client.retry(self._try)

    def _try(self) -> Any:
        client, session = self._client, self._client._session_id
        try:
            client.create(self.path, self.value, self._acl, ephemeral=True)
        except NodeExistsError:
            stat = client.exists(self.path)
            if stat is None:
                raise ForceRetryError from None
            if stat.ephemeralOwner != client._session_id:
                raise
            client.set(self.path, self.value)
            return stat.ephemeralOwner
        except NoNodeError:
            client.ensure_path(self.path.rpartition("/")[0])
            raise ForceRetryError from None
        if session != client._session_id:  # whose is it?
            raise ForceRetryError
        return session
