"""How long a session is its own, by itself: every moment is given."""

from __future__ import annotations

from typing import Any

import pytest

from fk_backend.core.acls import OPEN_ACL
from fk_backend.core.model import Error
from fk_backend.core.requests import Create, Delete, Flags, Multi
from fk_backend.session.lease import MOMENT_S, Lease

EPHEMERAL = Create("/e", b"", OPEN_ACL, Flags.EPHEMERAL, 0, False)
PLAIN = Create("/p", b"", OPEN_ACL, 0, 0, False)


def owning(contact_s: float = 100.0) -> Lease:
    """With a timeout of 30 s, of a session that owns /e."""
    lease = Lease(always=False)
    lease.begin(30.0, contact_s)
    lease.begins_to_own(EPHEMERAL)
    lease.owned.settled(EPHEMERAL, Error.OK, "/e")
    return lease


def test_it_is_overdue_after_two_thirds_of_its_timeout() -> None:
    lease = owning()
    assert not lease.is_overdue(120.0) and lease.is_overdue(120.001)
    lease.beat(115.0)
    assert not lease.is_overdue(135.0) and lease.is_overdue(135.1)


@pytest.mark.parametrize(("always", "overdue"), [(False, False), (True, True)])
def test_who_owns_nothing_is_overdue_only_where_everybody_beats(always: bool, overdue: bool) -> None:
    lease = Lease(always)
    lease.begin(30.0, 0.0)
    assert lease.is_overdue(1000.0) == overdue


@pytest.mark.parametrize(("op", "begins"), [(EPHEMERAL, True), (PLAIN, False), (Multi((PLAIN, EPHEMERAL)), True)])
def test_it_begins_to_own_with_what_may_be_an_ephemeral(op: Any, begins: bool) -> None:
    lease = Lease(always=False)
    assert lease.begins_to_own(op) == begins
    assert not lease.begins_to_own(EPHEMERAL) or not begins, "once"


def test_it_owns_until_the_last_one_is_deleted_or_was_never_made() -> None:
    lease = owning()
    lease.begins_to_own(EPHEMERAL)
    lease.owned.settled(EPHEMERAL, Error.NODE_EXISTS, None)
    assert lease.owned
    lease.owned.settled(Delete("/e", -1), Error.OK, None)
    assert not lease.owned and not lease.is_overdue(1000.0)


@pytest.mark.parametrize(("beaten_s", "fresh"), [(95.1, True), (95.0, False), (float("-inf"), False)])
def test_who_has_just_beaten_need_not_beat_before_it_owns(beaten_s: float, fresh: bool) -> None:
    lease = Lease(always=False)
    lease.begin(30.0, 0.0)
    lease.beaten_s = beaten_s
    assert lease.renew(100.0) == fresh
    assert lease.contact_s == (beaten_s if fresh else 100.0)


def test_a_beat_has_until_the_session_is_overdue_and_a_little_where_it_is_late() -> None:
    lease = owning()
    assert lease.left_s(105.0) == 15.0 + MOMENT_S
    assert lease.left_s(500.0) == 30.0 / 24 + MOMENT_S
