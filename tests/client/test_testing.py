"""An app's own test case, with the import swapped: the faults it asks for happen."""

from __future__ import annotations

import threading
from typing import Any, List

import pytest
from kazoo.protocol.states import KazooState

from fk_backend.testing.faults import expire
from fk_kazoo.client import KazooClient
from fk_kazoo.testing import KazooTestCase, faults


class TestAnAppsOwn(KazooTestCase):
    """Written as for kazoo's harness."""

    def test_a_client_with_a_place_of_its_own(self) -> None:
        """It is ours, and nothing of other tests is in its chroot."""
        assert isinstance(self.client, KazooClient)
        assert self.client.get_children("/") == []

    def test_a_lost_connection_keeps_the_session(self) -> None:
        """SUSPENDED, then CONNECTED as who it was."""
        states: List[str] = []
        session = self.client.client_id
        self.client.create("/e", ephemeral=True)
        self.client.add_listener(states.append)
        self.lose_connection(threading.Event)
        assert states == [KazooState.SUSPENDED, KazooState.CONNECTED]
        assert self.client.client_id == session and self.client.exists("/e")

    def test_an_expired_session_is_another_one(self) -> None:
        """LOST, and the ephemerals with it."""
        session = self.client.client_id
        self.client.create("/e", ephemeral=True)
        self.expire_session(threading.Event)
        assert self.client.client_id != session and self.client.exists("/e") is None

    def test_an_expiry_that_comes_to_nothing_is_ordered_again(self) -> None:
        """As it does where the session beats after it was judged."""
        session, ordered = self.client.client_id, []

        async def order(gateway: Any, namespace: str, which: int) -> None:
            ordered.append(which)
            if len(ordered) > 1:
                await expire(gateway, namespace, which)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(faults, "expire", order)
            patch.setattr(faults, "AGAIN_S", 0.05)
            self.expire_session(threading.Event)
        assert set(ordered) == {session[0]} and len(ordered) > 1
        assert self.client.client_id != session

    def test_servers_that_stop(self) -> None:
        """Whoever is connected through one goes on through the next."""
        self.cluster[0].stop()
        try:
            assert self.client.retry(self.client.exists, "/")
        finally:
            self.cluster[0].run()
