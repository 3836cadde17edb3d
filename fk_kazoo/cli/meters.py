"""Samples for `top`: the target's own figures, and how long a read and a write take from here."""

from __future__ import annotations

import contextlib
import functools
import re
import time
import uuid
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from kazoo.exceptions import KazooException, NoNodeError

from fk_backend.errors import NoPermission, NotAllowed

from .deployment_state import DeploymentState
from .failures import FAILED, Failure
from .target import Target, require

MINE = "/fk-kazoo-top-"
"""What the name of the node begins with that is written to see how long it takes. It goes with the session."""


class Sample(NamedTuple):
    """One look: ``at_s``, and whatever else the place tells. ``why``: field → why it is not known, if that is said."""

    values: Dict[str, float]
    why: Dict[str, str]


Sampler = Callable[[], Sample]


Part = Tuple[Sequence[str], Callable[[], Mapping[str, float]]]
"""Fields, and what tells them. It may raise that these credentials may not know them."""


@contextlib.contextmanager
def meter(target: Target) -> Iterator[Sampler]:
    """What looks once when it is called. Failure, BackendError, and what kazoo raises."""
    with contextlib.ExitStack() as stack:
        state: Optional[DeploymentState] = None
        if not target.is_zookeeper:
            require(target.deployment)
            state = stack.enter_context(DeploymentState(target.deployment))
        client = stack.enter_context(target.client())
        parts = _of_zookeeper(client) if state is None else _of_deployment(target, state)
        # On AWS writes are paid for, and CloudWatch tells of everybody's.
        writes = None if state is not None and _is_on_aws(target) else Writes.start(target, client)

        def take_sample() -> Sample:
            started = time.monotonic()
            client.exists("/")
            now = time.monotonic()
            sample = Sample({"at_s": now, "read_ms": (now - started) * 1000}, {})
            for fields, ask in parts:
                try:
                    sample.values.update(ask())
                except (NotAllowed, NoPermission, Untold) as error:
                    sample.why.update(dict.fromkeys(fields, _needed(error)))
            if writes is not None:
                sample.values.update(write_ms=writes.ms(), mine=writes.count)
                if "holders" in sample.values:
                    sample.values["holders"] -= 1
            return sample

        yield take_sample


class Untold(Exception):
    """Why something is not known."""


def _needed(error: Exception) -> str:
    """The permission that is lacking, if AWS says which."""
    found = re.search(r"to perform: ([a-z0-9]+:\w+)", str(error))
    return "needs " + found[1] if found else str(error)


class Writes:
    """A node of this command's own, written at each look. ``count``: commits that were made for it."""

    def __init__(self, client: Any) -> None:
        self.count = 0
        self._client = client
        self._path = MINE + uuid.uuid4().hex

    @classmethod
    def start(cls, target: Target, client: Any) -> Optional["Writes"]:
        """None if there may be no such node; why is said."""
        made = cls(client)
        try:
            made._create()
        except KazooException as error:
            target.info("writes from here are not measured: %s at %s" % (type(error).__name__, MINE))
            return None
        return made

    def _create(self) -> None:
        self._client.create(self._path, b"", ephemeral=True)
        self.count += 1

    def ms(self) -> float:
        """How long one write takes."""
        started = time.monotonic()
        try:
            self._client.set(self._path, b"")
        except NoNodeError:  # the session it went with has expired
            self._create()
        else:
            self.count += 1
        return (time.monotonic() - started) * 1000


def _of_zookeeper(client: Any) -> List[Part]:
    """By ``srvr``, which every server answers unless it was told not to."""

    def ask() -> Dict[str, float]:
        fields = dict(line.partition(": ")[::2] for line in client.command(b"srvr").splitlines())
        try:
            return {
                "zxid": int(fields["Zxid"], 16),
                "requests": int(fields["Received"]),
                "sessions": int(fields["Connections"]),
                "queue": int(fields["Outstanding"]),
                "server_ms": float(fields["Latency min/avg/max"].split("/")[1]),
            }
        except (KeyError, ValueError, IndexError):
            raise Failure("the ZooKeeper does not answer 'srvr': add it to 4lw.commands.whitelist", FAILED) from None

    return [((), ask)]


def _of_deployment(target: Target, state: DeploymentState) -> List[Part]:
    parts: List[Part] = [
        (["writes_per_s"], lambda: {"zxid": state.zxid()}),
        (["sessions", "holders", "usd_per_hour"], lambda: state.activity()._asdict()),
    ]
    return [*parts, *_of_aws(target)] if _is_on_aws(target) else parts


def _is_on_aws(target: Target) -> bool:
    return target.deployment.scheme == "aws"


def _of_aws(target: Target) -> List[Part]:
    from fk_backend.providers.aws import counted, names
    from fk_backend.providers.aws.cloud import Cloud, explained

    url = target.deployment
    cloud = Cloud(None, url.option("region"), url.option("endpoint_url"))
    clouds = counted.Counted(cloud, url.deployment)

    @functools.cache
    def where() -> str:
        return str(cloud.client("sqs").get_queue_url(QueueName=names.writes_queue(url.deployment))["QueueUrl"])

    def queue() -> Dict[str, float]:
        with explained():
            kinds = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
            found = cloud.client("sqs").get_queue_attributes(QueueUrl=where(), AttributeNames=kinds)["Attributes"]
        return {"queue": sum(int(found.get(kind, 0)) for kind in kinds)}

    def counts() -> Dict[str, float]:
        known = clouds.look()
        if clouds.why:
            raise Untold(clouds.why)
        return known

    return [(["queue"], queue), (counted.FIELDS, counts)]
