"""What can become of an invocation between a client and the writer: what was not done for sure goes to the queue.

What may have been done is a lost connection: done once or not at all, in the same session, and never asked for again.
"""

from __future__ import annotations

from typing import Dict, Iterator, NamedTuple

import pytest
from kazoo.protocol.states import KazooState

from fk_backend.core.model import Error
from fk_backend.core.requests import SetData
from fk_backend.providers.aws import clients, direct
from fk_backend.providers.aws.clients import AT_FUNCTIONS
from fk_backend.providers.aws.dev.emulator import Emulator
from tests.service.processes import eventually

from ..conftest import Deployment, deployed
from .between import Between, Fate, Late, cut_after, cut_before, cut_short, failed, never, refused
from .invoked import PATIENCE_S, App, has_no_answer, set_up

GIVES_UP_S = 4.0
"""So long a client waits for an invocation here."""


class Setting(NamedTuple):
    """A client whose invocations go through something, and another one that looks on."""

    app: App
    other: App
    between: Between


@pytest.fixture(scope="module")
def shared(emulator: Emulator) -> Iterator[Deployment]:
    with pytest.MonkeyPatch.context() as patch, deployed(emulator, patch) as made:
        yield made


@pytest.fixture()
def setting(shared: Deployment, monkeypatch: pytest.MonkeyPatch) -> Iterator[Setting]:
    between: Between = Between(shared.host.url).start()
    monkeypatch.setenv(AT_FUNCTIONS, between.url)
    monkeypatch.setattr(clients, "INVOKE_TIMEOUT_S", GIVES_UP_S)
    set_up(monkeypatch)
    app, other = App(shared.url).start(), App(shared.url + "&via=queue").start()
    app.zk.create("/a", b"old")
    yield Setting(app, other, between)
    app.zk.delete("/a")
    app.stop()
    other.stop()
    between.stop()


NOT_DONE: Dict[str, Fate] = {
    "no room": refused(429, "TooManyRequestsException"),
    "no such function": refused(404, "ResourceNotFoundException"),
    "not allowed": refused(403, "AccessDeniedException"),
    "too large": refused(413, "RequestTooLargeException"),
}


@pytest.mark.parametrize("name", NOT_DONE)
def test_what_was_not_done_for_sure_goes_to_the_queue(setting: Setting, name: str) -> None:
    app, other, between = setting
    between.befall(SetData, NOT_DONE[name])
    assert app.zk.set("/a", b"new").version == 1 and app.states == []
    assert between.kinds.count("SetData") == 1
    assert other.zk.get("/a")[0] == b"new"


def test_where_nobody_listens_the_queue_has_it(setting: Setting) -> None:
    app, other, between = setting
    between.stop()
    assert app.zk.set("/a", b"new").version == 1 and app.states == []
    assert other.zk.get("/a")[0] == b"new"


class Unsure(NamedTuple):
    """A fate, and how often what was asked for is done then."""

    fate: Fate
    done: int


UNSURE: Dict[str, Unsure] = {
    "an error of the service": Unsure(refused(500, "ServiceException"), 0),
    "an error of its machines": Unsure(refused(502, "EC2UnexpectedException"), 0),
    "no service": Unsure(refused(503, "ServiceUnavailableException"), 0),
    "an error after it was done": Unsure(failed(500, "ServiceException"), 1),
    "cut before": Unsure(cut_before, 0),
    "cut after": Unsure(cut_after, 1),
    "cut in the answer": Unsure(cut_short, 1),
    "no answer": Unsure(never, 1),
}


@pytest.mark.parametrize("name", UNSURE)
def test_what_may_have_been_done_is_a_lost_connection(setting: Setting, name: str) -> None:
    app, other, between = setting
    session, (fate, done) = app.zk.client_id, UNSURE[name]
    between.befall(SetData, fate)
    assert has_no_answer(app.zk.set_async("/a", b"new"))
    app.settled(lost=True)
    assert app.states == [KazooState.SUSPENDED, KazooState.CONNECTED] and app.zk.client_id == session
    assert other.zk.get("/a")[1].version == done
    assert between.kinds.count("SetData") == 1
    assert app.zk.set("/a", b"newer").version == done + 1


def test_one_that_arrives_when_its_client_has_connected_again_is_fenced(setting: Setting) -> None:
    app, other, between = setting
    late = Late()
    between.befall(SetData, late)
    assert has_no_answer(app.zk.set_async("/a", b"late"))
    app.settled(lost=True)
    assert late.reached.is_set() and app.zk.set("/a", b"new").version == 1
    late.let_go()
    eventually(late.over.is_set, "it is done with", PATIENCE_S)
    told = direct.told(late.answer)
    assert told is not None and told.written is not None and told.written.result.code == Error.SESSION_MOVED
    assert other.zk.get("/a")[0] == b"new" and app.zk.get("/a")[1].version == 1
    assert app.states == [KazooState.SUSPENDED, KazooState.CONNECTED]
