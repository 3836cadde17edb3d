"""Sample functions on queues of the emulator.

Rule upheld here: what happened is read from what the functions wrote down, never guessed from time that has passed.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
import zipfile
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional

import pytest

from fk_backend.providers.aws import names
from fk_backend.providers.aws.dev import resources
from fk_backend.providers.aws.dev.environment import Settings, Source
from fk_backend.providers.aws.dev.host import Host
from fk_backend.providers.aws.dev.resources import Account

SAMPLES = Path(__file__).with_name("package")
PATIENCE_S = 60.0


def until(condition: Callable[[], Any]) -> Any:
    """What ``condition`` returns, as soon as it is true."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)


class Bench(NamedTuple):
    """An account, its queues (three receives, then dead), and a file for notes."""

    account: Account
    record: Path
    package: Path
    hosts: List[Host]

    def host(
        self, handler: str, fifo: bool = True, processes: bool = False, dead_letters: bool = False, **more: Any
    ) -> Host:
        """A running host with one function on the writes queue, or else the timer; ``more``: settings and options."""
        options = {key: more.pop(key) for key in ("observe", "log", "trouble") if key in more}
        queue = self.queue(fifo)
        source = Source(queue, more.pop("batch_size", 10), more.pop("report_failures", True))
        environment = (("RECORD", str(self.record)),)
        settings = Settings("sample", "samples." + handler, environment=environment, sources=(source,), **more)
        functions = [settings]
        if dead_letters:
            dead = Source(names.dead_queue(self.account.name), 1)
            functions.append(Settings("dead", "samples.whole", environment=environment, sources=(dead,)))
        host = Host(self.account, functions, self.package if processes else None, **options)
        self.hosts.append(host)
        return host.start()

    def alone(self, handler: str, **more: Any) -> Host:
        """A running host with one function in processes, and no queue."""
        options = {key: more.pop(key) for key in ("observe", "log") if key in more}
        more.setdefault("environment", (("RECORD", str(self.record)),))
        host = Host(self.account, [Settings("sample", handler, **more)], self.package, **options)
        self.hosts.append(host)
        return host.start()

    def hurry(self) -> None:
        """Messages that failed come back after two seconds instead of 30: for tests that wait for that."""
        client = self.account.client("sqs")
        url = self.account.queue_url(self.queue())
        client.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "2"})

    def queue(self, fifo: bool = True) -> str:
        """The name of the queue."""
        return names.writes_queue(self.account.name) if fifo else names.timer_queue(self.account.name)

    def send(self, *bodies: Dict[str, Any], group: str = "a", fifo: bool = True, **more: Any) -> None:
        """Sends messages in their order; all that fit in one request."""
        client = self.account.client("sqs")
        entries = []
        for n, body in enumerate(bodies):
            entry: Dict[str, Any] = {"Id": str(n), "MessageBody": json.dumps(body, ensure_ascii=False), **more}
            if fifo:
                entry.update(MessageGroupId=group, MessageDeduplicationId="%s-%d" % (group, next(_numbers)))
            entries.append(entry)
        sent = client.send_message_batch(QueueUrl=self.account.queue_url(self.queue(fifo)), Entries=entries)
        assert not sent.get("Failed")

    def notes(self, what: Optional[str] = None) -> List[Dict[str, Any]]:
        """What the functions wrote down."""
        lines = self.record.read_text().splitlines() if self.record.exists() else []
        return [note for note in map(json.loads, lines) if what in (None, note["what"])]

    def ended(self, group: Optional[str] = None) -> List[Any]:
        """The ids of the messages that were worked off, in that order."""
        return [note["id"] for note in self.notes("end") if group in (None, note["group"])]

    def left(self, queue: Optional[str] = None) -> int:
        """How many messages are in a queue, in flight or not."""
        counts = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        url = self.account.queue_url(queue or self.queue())
        answer = self.account.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=list(counts))
        return sum(int(answer["Attributes"][one]) for one in counts)


_numbers = itertools.count()


@pytest.fixture()
def bench(empty_account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    resources.create(empty_account, max_receives=3)
    package = tmp_path / "package.zip"
    with zipfile.ZipFile(package, "w") as archive:
        for path in SAMPLES.glob("*.py"):
            archive.write(path, path.name)
    monkeypatch.syspath_prepend(str(SAMPLES))
    made = Bench(empty_account, tmp_path / "record", package, [])
    yield made
    for host in made.hosts:
        host.stop()
    sys.modules.pop("samples", None)
