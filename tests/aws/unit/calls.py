"""Clients of AWS that send nothing: they remember what they were asked, and answer what a test says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Callable, Dict, List, NamedTuple

from botocore.exceptions import ClientError

REGION = "eu-test-1"


class Call(NamedTuple):
    """One request: by which client, which operation, with what."""

    client: str
    operation: str
    request: Dict[str, Any]


def refused(code: str, status: int = 400, **more: Any) -> ClientError:
    """What AWS answers to what it refuses."""
    answer = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}, **more}
    return ClientError(answer, "operation")


class Stub:
    """As much of `clients.Clients` as is asked for. ``answers``: by operation, one after the other; then ``{}``."""

    def __init__(self, **answers: List[Any]) -> None:
        self.calls: List[Call] = []
        self.answers = answers
        self.region = REGION
        for name in ("dynamodb", "once", "sqs", "s3"):
            setattr(self, name, _Client(name, self))

    @property
    def asked(self) -> List[str]:
        """The operations, in order."""
        return [call.operation for call in self.calls]

    def answer(self, call: Call) -> Any:
        """Remembers a request and answers it."""
        self.calls.append(call)
        answers = self.answers.get(call.operation)
        answer = answers.pop(0) if answers else {}
        if isinstance(answer, BaseException):
            raise answer
        return answer


class _Client(SimpleNamespace):
    def __init__(self, name: str, stub: Stub) -> None:
        super().__init__()
        self._name = name
        self._stub = stub

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        async def ask(**request: Any) -> Any:
            return self._stub.answer(Call(self._name, operation, request))

        return ask
