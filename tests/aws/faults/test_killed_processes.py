"""Real processes of the package that is deployed, killed with SIGKILL at a request of an invocation.

What `test_killed_invocations` finds of environments that are threads holds for them. With ``FK_EVERY_KILL=1`` alone:
each kill is a new process.
"""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, NamedTuple

import pytest
from kazoo.protocol.states import KazooState

from fk_backend.providers.aws.clients import AT_FUNCTIONS
from fk_backend.providers.aws.dev.emulator import Emulator
from fk_backend.providers.aws.dev.host import Host, functions_of
from tests.service.processes import eventually

from ..conftest import deployed
from .between import Executioner
from .invoked import PATIENCE_S, WRITER, App, has_no_answer, is_whole, places, set_up


class Setting(NamedTuple):
    """Who writes, who watches, and who kills."""

    app: App
    watcher: App
    executioner: Executioner


@pytest.fixture()
def setting(emulator: Emulator, package: Path) -> Iterator[Setting]:
    executioner: Executioner = Executioner(emulator.url).start()
    with pytest.MonkeyPatch.context() as patch, deployed(emulator, patch) as made:
        set_up(patch)
        account = made.account._replace(endpoint_url=executioner.url)
        with Host(account, functions_of(account), package) as host:
            executioner.kill = lambda: host.kill(WRITER)
            patch.setenv(AT_FUNCTIONS, host.url)
            yield Setting(App(made.url).start(), App(made.url).start(), executioner)


@pytest.mark.skipif(not is_whole(), reason="takes minutes on a busy machine: FK_EVERY_KILL=1; threads are always tried")
def test_a_process_is_killed_before_and_after_every_request(setting: Setting) -> None:
    app, watcher, executioner = setting
    app.zk.create("/a", b"old")
    session, version, outcomes = app.zk.client_id, 0, set()
    for at, after in places(0):
        watcher.zk.get("/a", watch=watcher.told)
        watcher.events.clear()
        app.states.clear()
        executioner.arm(at, after)
        is_lost = has_no_answer(app.zk.set_async("/a", b"new"))
        sent = list(executioner.sent)
        executioner.arm(0, False)
        app.settled(lost=is_lost)
        where = "killed at request %d (%s) of %s" % (at, after, sent)
        assert app.zk.client_id == session and is_lost == (len(sent) >= at), where
        assert app.states == ([KazooState.SUSPENDED, KazooState.CONNECTED] if is_lost else []), where
        done = app.zk.get("/a")[1].version - version
        assert done in (0, 1) and (is_lost or done == 1), where
        if done:
            eventually(lambda: watcher.events == [("CHANGED", "/a")], where, PATIENCE_S)
        assert watcher.events == [("CHANGED", "/a")] * done, where
        version += done
        outcomes.add(done)
        if not is_lost:
            break
    assert outcomes == {0, 1}
    app.stop()
    watcher.stop()
