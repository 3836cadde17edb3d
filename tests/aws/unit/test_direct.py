"""Invocations: what is definite, what is not, who is believed, and when the queue has the writes instead."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any, Dict, List, Optional

import pytest
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Trigger
from fk_backend.core.requests import Create, Result
from fk_backend.errors import Conflict, Refused, Unavailable, Unknown
from fk_backend.mac import inbox_name
from fk_backend.messages import Message, decode, encode
from fk_backend.ports import Written
from fk_backend.providers.aws import direct, handlers, names
from fk_backend.providers.aws.direct import WITHOUT_S, Invocations
from fk_backend.providers.contention import MAX_PAUSE_S, MAX_SENDERS, PAUSE_S, Contention

from .calls import refused

KEY = b"key"
MESSAGE = Message(inbox_name("ns", KEY, bytes(4)), 7, 3, (Create("/a", b"x", OPEN_ACL, 0, 0, False),), 9)
WRITTEN = Written(Result(0, "/a", 12), 12, 5, (Trigger(12, "/a", 1),))


class Lambda:
    """Answers an invocation as a test says, and remembers it. ``now_s``: of the client's clock."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: List[Dict[str, Any]] = []
        self.now_s = 100.0
        clients: Any = SimpleNamespace(functions=self.functions)
        clock: Any = SimpleNamespace(monotonic=lambda: self.now_s)
        self.direct = Invocations(clients, "d", clock)

    async def functions(self) -> Any:
        """`Clients.functions`."""
        return self

    async def invoke(self, **asked: Any) -> Any:
        """Lambda's."""
        self.asked.append(asked)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        body, failed = answer if isinstance(answer, tuple) else (answer, None)

        async def read() -> bytes:
            return body if isinstance(body, bytes) else json.dumps(body).encode()

        return {"Payload": SimpleNamespace(read=read), **({"FunctionError": failed} if failed else {})}

    def write(self) -> Optional[Written]:
        """One direct write."""
        return asyncio.run(self.direct.write("ns", MESSAGE, KEY))


def test_it_asks_for_the_alias_that_says_who_asks_and_gets_what_was_done() -> None:
    service = Lambda(direct.answer(WRITTEN, 0))
    assert service.write() == WRITTEN
    (asked,) = service.asked
    assert (asked["FunctionName"], asked["Qualifier"]) == ("fk-d-writer", names.DIRECT)
    assert asked["InvocationType"] == "RequestResponse"
    found = direct.asked(json.loads(asked["Payload"]))
    assert found is not None and found[0] == "ns" and decode(found[1]) == MESSAGE and found[1] == encode(MESSAGE, KEY)


@pytest.mark.parametrize(
    "answer",
    [
        ({"errorType": "Runtime.ExitError"}, "Unhandled"),
        refused("ServiceException", 500),
        refused("EC2ThrottledException", 502),
        ReadTimeoutError(endpoint_url="x"),
        b'{"note": ',
        b"null",
        {"note": "AAAA", "conflicts": 0},
    ],
    ids=str,
)
def test_what_may_have_been_done_is_unknown(answer: Any) -> None:
    service = Lambda(answer)
    with pytest.raises(Unknown):
        service.write()


@pytest.mark.parametrize(
    "answer",
    [
        refused("TooManyRequestsException", 429),
        refused("RequestTooLargeException", 413),
        ConnectTimeoutError(endpoint_url="x"),
        direct.refusal(Conflict("others")),
    ],
    ids=str,
)
def test_what_was_not_done_goes_to_the_queue_for_a_while(answer: Any) -> None:
    service = Lambda(answer, direct.answer(WRITTEN, 0))
    assert service.write() is None and service.write() is None and len(service.asked) == 1
    service.now_s += PAUSE_S
    assert service.write() == WRITTEN


def test_what_is_refused_for_itself_keeps_nothing_else_from_it() -> None:
    service = Lambda(direct.refusal(Refused("the heartbeat is to begin")), direct.answer(WRITTEN, 0))
    assert service.write() is None and service.write() == WRITTEN


@pytest.mark.parametrize(
    "answer",
    [
        {"batchItemFailures": []},  # a release that takes it for a batch of nothing
        refused("ResourceNotFoundException", 404),
        refused("AccessDeniedException", 403),
    ],
    ids=str,
)
def test_a_deployment_without_it_is_asked_once_in_a_while(answer: Any) -> None:
    service = Lambda(answer, direct.answer(WRITTEN, 0))
    assert service.write() is None
    service.now_s += WITHOUT_S - 1
    assert service.write() is None and len(service.asked) == 1
    service.now_s += 1
    assert service.write() == WRITTEN


def test_the_more_others_write_the_longer_the_queue_has_it() -> None:
    company, now, pauses = Contention(), 0.0, []
    for _ in range(8):
        company.met(now)
        begun = now
        while not company.is_due(now):
            now += PAUSE_S
        pauses.append(now - begun)
    assert pauses[:3] == [PAUSE_S, 2 * PAUSE_S, 4 * PAUSE_S] and pauses[-1] == MAX_PAUSE_S
    company.alone()
    company.met(now)
    assert company.is_due(now + PAUSE_S)


@pytest.mark.parametrize(
    ("others_a_write", "pause_s", "expected"),
    [(1, 0.1, False), (20, 1.0, False), (0, 0.1, True), (1, 1.0, True), (20, 30.0, True)],
)
def test_who_has_met_others_does_not_try_while_they_write_as_often(
    others_a_write: int, pause_s: float, expected: bool
) -> None:
    """``pause_s``: between two writes of its own. It does not matter how many have gone wrong before."""
    company, now, zxid = Contention(), 0.0, 100
    company.met(now)
    for number in range(1, 40):
        company.about_to(MESSAGE._replace(first=number, answered=zxid), now)
        is_due = company.is_due(now)
        now, zxid = now + pause_s, zxid + 1 + others_a_write
    assert is_due is expected


def test_who_has_met_nobody_tries_whoever_else_writes() -> None:
    company = Contention()
    for number in range(1, 9):
        company.about_to(MESSAGE._replace(first=number, answered=100 * number), number / 100)
        assert company.is_due(number / 100)


def test_what_is_remembered_of_connections_has_a_limit() -> None:
    company = Contention()
    for number in range(2 * MAX_SENDERS):
        company.about_to(MESSAGE._replace(inbox=str(number)), 0.0)
    assert len(company._sent) == MAX_SENDERS


@pytest.mark.parametrize(
    ("options", "endpoint", "functions", "expected"),
    [
        ({}, "", "", True),
        ({"via": "queue"}, "", "", False),
        ({}, "http://emulator", "", False),
        ({}, "http://emulator", "http://functions", True),
        ({"via": "queue"}, "http://emulator", "http://functions", False),
    ],
)
def test_when_it_is_used(options: Any, endpoint: str, functions: str, expected: bool) -> None:
    assert direct.wanted(options, endpoint, functions) is expected


# --- the function's end ---------------------------------------------------------------------------


class Context:
    """Lambda's, of an invocation by an alias."""

    def __init__(self, alias: str) -> None:
        self.invoked_function_arn = "arn:aws:lambda:eu-central-1:1:function:fk-d-writer:" + alias

    def get_remaining_time_in_millis(self) -> int:
        """Enough."""
        return 20_000


class Functions(handlers.Functions):
    """Over a writer that does what a test says, and tells how it was called."""

    def __init__(self, does: Any = None) -> None:
        async def write_for(ns: str, body: bytes) -> Any:
            self.called.append((ns, body))
            if isinstance(does, Exception):
                raise does
            return WRITTEN, 1

        self.called: List[Any] = []
        service: Any = SimpleNamespace(writer=SimpleNamespace(write_for=write_for))
        super().__init__(service)


def _invoked(functions: Functions, event: Any, alias: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(handlers, "_run", lambda work: asyncio.run(work(functions)))
    return json.loads(json.dumps(handlers.writer(event, Context(alias))))


def test_a_client_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    functions = Functions()
    response = _invoked(functions, direct.event("ns", b"body"), names.DIRECT, monkeypatch)
    told = direct.told(json.dumps(response).encode())
    assert told is not None and told.written == WRITTEN and told.conflicts == 1
    assert functions.called == [("ns", b"body")]


FORGED = {"messageId": "m", "body": "", "attributes": {"MessageGroupId": "ns", "SequenceNumber": "9" * 30}}


@pytest.mark.parametrize(
    "event",
    [
        {"Records": [FORGED]},
        {"Records": [FORGED], "ns": "ns"},
        {"ns": 1, "message": "AAAA"},
        {"ns": "ns", "message": "no base64!"},
        {"ns": "ns", "message": "A" * (direct.MAX_EVENT_BYTES + 4)},
        [],
        None,
    ],
    ids=lambda event: repr(event)[:40],
)
def test_a_client_is_no_queue_whatever_it_says(event: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    functions = Functions()
    response = _invoked(functions, event, names.DIRECT, monkeypatch)
    assert set(response) == {"refused", "conflicts"} and not functions.called


def test_what_was_not_done_is_said_and_what_may_have_been_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (Conflict("others"), Unavailable("throttled")):
        response = _invoked(Functions(error), direct.event("ns", b"body"), names.DIRECT, monkeypatch)
        told = direct.told(json.dumps(response).encode())
        assert told is not None and told.written is None and told.why
    with pytest.raises(Unknown):
        _invoked(Functions(Unknown("no answer")), direct.event("ns", b"body"), names.DIRECT, monkeypatch)


def test_a_writer_of_before_takes_it_for_a_batch_of_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    response = _invoked(Functions(), direct.event("ns", b"body"), "live", monkeypatch)
    assert response == {"batchItemFailures": []} and direct.told(json.dumps(response).encode()) is None
