"""Nothing that belongs to one deployment can be taken for another one's."""

from __future__ import annotations

from itertools import product

import pytest

from fk_backend.errors import BadUrl
from fk_backend.ports import TABLES
from fk_backend.providers.aws import names

PARTS = ("a", "inbox", "writes", "timer", "deploy")
OWN = [names.writes_queue, names.dead_queue, names.timer_queue, lambda name: names.inbox_queue(name, "0" * 32)]


def _valid(name: str) -> bool:
    try:
        return names.checked(name) == name
    except BadUrl:
        return False


NAMES = [
    name
    for count in (1, 2, 3)
    for parts in product(PARTS, repeat=count)
    for name in ["-".join(parts)]
    if len(name) < 21
]
VALID = [name for name in NAMES if _valid(name)]


def test_some_are_valid() -> None:
    assert {"a", "inbox", "a-timer", "writes-a", "a-deploy"} <= set(VALID)
    assert not {"a-inbox", "a-inbox-a", "deploy"} & set(VALID)


@pytest.mark.parametrize("name", ["My", "", "a_b", "-a", "a-", "x" * 21, "a.b"])
def test_others_are_refused(name: str) -> None:
    with pytest.raises(BadUrl, match="lower-case letters"):
        names.checked(name)


def test_inboxes_are_told_from_the_queues_of_other_deployments() -> None:
    for name, other in product(VALID, NAMES):  # whatever is called so by now
        if name != other:
            assert not [queue(other) for queue in OWN if names.inbox_of(name, queue(other))], (name, other)
        assert names.inbox_of(name, names.inbox_queue(name, "0" * 32)) == "0" * 32
        assert names.inbox_of(name, names.inbox_queue(name, "no-inbox")) == "no-inbox"


def test_nobodys_permission_for_inboxes_reaches_what_another_deployment_has() -> None:
    for name, other in product(VALID, VALID):
        if name != other:
            assert not [queue(other) for queue in OWN if queue(other).startswith(names.inbox_prefix(name))]


def test_no_two_share_a_bucket_or_a_table() -> None:
    buckets = [names.bucket(name, "1" * 12, "us-east-1") for name in VALID]
    tables = [names.table(name, which) for name, which in product(VALID, TABLES)]
    for made in (buckets, tables):
        assert len(set(made)) == len(made)
    assert names.package_bucket("1" * 12, "us-east-1") not in buckets
