"""A deployment on the emulator whose functions run in this process, and everything that it sends is seen."""

from __future__ import annotations

import os
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator, List
from unittest import mock

from fk_backend.providers.aws import poll, queues
from fk_backend.providers.aws.clients import AT_FUNCTIONS
from fk_backend.providers.aws.dev import resources
from fk_backend.providers.aws.dev.emulator import Emulator
from fk_backend.providers.aws.dev.host import Host, functions_of
from fk_backend.providers.aws.dev.resources import Account
from fk_kazoo.client import KazooClient

from .bill import Bill, bill
from .filling import Filling
from .meter import Call, Meter, metered

TIMEOUT_S = 60
SESSION_S = 60.0
FILLED = Path(__file__).with_name("emulator_filled.py")
DELETE_S = 0.8 * queues.SEEN_S
"""What a client took from its inbox waits so long to be deleted with more: the emulator takes several times as long for
ten writes as AWS, where they are done within the time that it really waits."""
PATIENCE_S = 300
"""So long a function may take here, not 20 s: telling 10,000 watchers may take the emulator longer."""
QUIET_S = 0.03
"""So long nothing has to be under way until what an operation caused is taken to be over."""

IDLE_CHECKS = 6


class EmulatedDeployment:
    """Clients of one deployment, and a meter."""

    def __init__(self, account: Account, host: Host, meter: Meter, invocations: List[str]) -> None:
        self.account = account
        self.meter = meter
        self.filling = Filling(account, meter.tables)
        """Only where the deployment was made for it."""
        self._url = account.url
        self._host = host
        self._invocations = invocations
        self._made: List[Any] = []

    def client(self, ns: str = "", session_s: float = SESSION_S) -> Any:
        """A started client, of a namespace."""
        url = self._url + ("&namespace=%s" % ns if ns else "")
        made = KazooClient(url, timeout=session_s)
        self._made.append(made)
        made.start(timeout=TIMEOUT_S)
        return made

    def dismiss(self, client: Any) -> None:
        """Stops a client."""
        self._made.remove(client)
        client.stop()
        client.close()

    def close(self) -> None:
        """Stops the clients."""
        for client in list(self._made):
            self.dismiss(client)

    def wait_until_idle(self) -> None:
        """Until nothing is under way any more."""
        checks = 0  # counted, not timed: on a busy machine this thread may sleep for longer than QUIET_S
        while checks < IDLE_CHECKS:
            busy = self.meter.under_way or any(function.busy for function in self._host.functions.values())
            checks = 0 if busy else checks + 1
            time.sleep(QUIET_S / IDLE_CHECKS)

    def requests_of(self, work: Callable[[], Any]) -> "tuple[List[Call], int]":
        """The requests of some work, and how many invocations it took."""
        self.wait_until_idle()
        self.meter.clear()
        before = len(self._invocations)
        work()
        self.wait_until_idle()
        calls = list(self.meter.calls)
        tries = Counter(self.meter.sent)
        tries.subtract(call.operation for call in calls)
        polls = tries.pop("ReceiveMessage", 0)
        assert not any(tries.values()), "sent again or never answered: %r (and %d polls)" % (tries, polls)
        return calls, len(self._invocations) - before

    def bill(self, work: Callable[[], Any], operations: int, direct: bool = False) -> Bill:
        """Of work that does so many operations, for one of them; ``direct``: each is an invocation by its client."""
        calls, invocations = self.requests_of(work)
        return bill(calls, invocations, operations, direct=direct)


@contextmanager
def emulated_deployment(filled: bool = False, direct: bool = False) -> Iterator[EmulatedDeployment]:
    """Starts everything, and ends it. The standard variables name the emulator meanwhile: AWS can't be reached.

    ``filled``: the tables can be filled directly. ``direct``: clients can invoke the functions.
    """
    with ExitStack() as stack:
        emulator = stack.enter_context(Emulator(program=FILLED) if filled else Emulator())
        stack.enter_context(mock.patch.object(poll, "DELETE_S", DELETE_S))
        account = resources.new_account(emulator.url, "bench")
        kept = {
            name: os.environ.get(name)
            for name in (*account.environment, "AWS_PROFILE", "AWS_SESSION_TOKEN", AT_FUNCTIONS)
        }
        stack.callback(_restore, kept)
        for name in kept:
            os.environ.pop(name, None)
        os.environ.update(account.environment)
        resources.create(account, visibility_timeout_s=PATIENCE_S + 10)
        meter = stack.enter_context(metered())
        invocations: List[str] = []  # of which functions: what they were called with would fill the memory
        functions = [each._replace(timeout_s=PATIENCE_S) for each in functions_of(account)]
        host = stack.enter_context(Host(account, functions, observe=lambda one: invocations.append(one.function)))
        if direct:
            os.environ[AT_FUNCTIONS] = host.url
        made = EmulatedDeployment(account, host, meter, invocations)
        stack.callback(made.close)
        yield made


def _restore(variables: Any) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
