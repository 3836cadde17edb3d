"""A serverless deployment on AWS: DynamoDB for what is, SQS for what is asked and told, Lambda for what is done.

This package is the client's end and the functions' end; ``fk-kazoo deploy`` makes a deployment. It needs the extra
``fk_kazoo[aws]``.

Imports: functions, ports, aiobotocore, boto3. Never: kazoo, fk_kazoo, fk_backend.session, fk_backend.providers.local.
"""

from __future__ import annotations

import importlib.util
import os
import weakref
from typing import List, Mapping

from ...errors import DeploymentError
from ...ports import AdminPorts, Gateway, NullSender, Ports
from . import names

FIRST_ANSWER_S = 15.0
"""How long a session may take to open, and to close: functions that nobody has called for long start first."""

NAMED_BY = (
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_LAMBDA",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_PROFILE",
    "AWS_ACCESS_KEY_ID",
)

_gateways: "weakref.WeakSet[Gateway]" = weakref.WeakSet()
"""As long as somebody uses them."""
_discarded: List[object] = []


def identity(name: str) -> str:
    """What two openings share if they are of one deployment: also what the environment says of it and of who asks.

    A program that changes that gets a way of its own, not the one that is still open from before.
    """
    return "|".join([name, *(os.environ.get(variable, "") for variable in NAMED_BY)])


def check(name: str, options: Mapping[str, str]) -> None:
    """Whether the deployment can be used, as far as can be told without asking: the name, and the libraries."""
    names.checked(name)
    if importlib.util.find_spec("aiobotocore") is None:
        raise DeploymentError("aws:// needs more libraries: pip install 'fk_kazoo[aws]'")


async def connect(name: str, options: Mapping[str, str]) -> Gateway:
    """This process's way to a deployment. DeploymentError if there is none, or not for these credentials."""
    from .gateway import AwsGateway

    gateway = await AwsGateway.open(name, options)
    _gateways.add(gateway)
    return gateway


async def administer(name: str, options: Mapping[str, str], make: bool) -> AdminPorts:
    """The tables and the bucket; ``make`` makes nothing: ``fk-kazoo deploy`` does. DeploymentError as `connect`."""
    from .gateway import AwsGateway

    check(name, options)
    gateway = await AwsGateway.open(name, options)
    nobody = NullSender()
    ports = Ports(gateway.store, nobody, nobody, gateway.clock, None, gateway.blobs)
    return AdminPorts(ports, gateway.store.namespaces, gateway.close)


def rest() -> None:
    """Before a fork: connections are the parent's; nothing of them is locked."""


def abandon(forked: bool = True) -> None:
    """In a forked child, or where files were closed: lets go of the connections without closing them."""
    _discarded.extend(_gateways)
    _gateways.clear()
