"""What a process was done with is let go of: a program that opens a deployment often does not grow by it."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest

from fk_backend.providers import aws
from fk_backend.providers.aws.gateway import AwsGateway


class Opened:
    """Stands in for a gateway."""


@pytest.fixture(autouse=True)
def opens_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def open_(*_: Any) -> Opened:
        return Opened()

    monkeypatch.setattr(AwsGateway, "open", open_)
    monkeypatch.setattr(aws, "_discarded", [])


def test_a_gateway_that_nobody_uses_is_gone() -> None:
    is_there = weakref.ref(asyncio.run(aws.connect("done-with", {})))
    gc.collect()
    assert is_there() is None


def test_what_is_open_when_the_process_forks_is_kept_in_the_child() -> None:
    """Its end would close what is the parent's."""
    opened = asyncio.run(aws.connect("open", {}))
    is_open = weakref.ref(opened)
    aws.abandon()
    del opened
    gc.collect()
    assert is_open() is not None
