"""ACLs: what is stored, who is let in, what is shown."""

from __future__ import annotations

from typing import Optional, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fk_backend.core.acls import (
    ANYONE,
    OPEN_ACL,
    READ_ACL,
    SUPER,
    allowed,
    authenticate,
    digest_id,
    fix_up,
    may_know,
    readers,
    visible_acl,
)
from fk_backend.core.addresses import address_matches, is_address_range
from fk_backend.core.errors import ZkError
from fk_backend.core.model import Acl, Acls, Error, Id, Perms

ANN = digest_id("ann:secret")
BEN = digest_id("ben:secret")
HOME = Id("ip", "127.0.0.1")
MAY = Id("x509", "CN=may,OU=ops,O=acme")


def test_digest_is_zookeepers() -> None:
    """The example of the Administrator's Guide's neighbour, ``DigestAuthenticationProvider.generateDigest``."""
    assert digest_id("super:hunter2") == Id("digest", "super:V1o6/gHR24bI2f+NOZanWPgr+eg=")
    assert digest_id("a:b:c").id.startswith("a:")
    assert digest_id("plain").id.startswith("plain:")


@pytest.mark.parametrize("acl", [None, (), (Acl(31, "world", "x"),), (Acl(31, "sasl", "x"),), (Acl(31, "auth", ""),)])
def test_refused_acls(acl: Optional[Acls]) -> None:
    with pytest.raises(ZkError) as refused:
        fix_up(acl, (HOME,))
    assert refused.value.code == Error.INVALID_ACL


def test_one_bad_entry_spoils_the_acl() -> None:
    with pytest.raises(ZkError):
        fix_up((*OPEN_ACL, Acl(31, "x509", "CN=a")), (ANN,))


def test_who_has_a_certificate_may_name_those_of_others() -> None:
    asked = (Acl(31, "x509", "CN=june,O=acme"), Acl(1, *MAY))
    assert fix_up(asked, (HOME, MAY)) == asked
    for wrong in ("june", "CN", "CN=a,", "CN=<", "XX=y"):
        with pytest.raises(ZkError):
            fix_up((Acl(31, "x509", wrong),), (MAY,))
    with pytest.raises(ZkError):
        fix_up(asked, (HOME, ANN))
    assert fix_up((Acl(1, "auth", ""),), (HOME, MAY, ANN)) == (Acl(1, *MAY), Acl(1, *ANN))


def test_a_certificate_lets_in_whom_it_names() -> None:
    acl = (Acl(Perms.READ, *MAY), Acl(Perms.ALL, "x509", "CN=june,O=acme"))
    assert allowed(acl, Perms.READ, (HOME, MAY)) and not allowed(acl, Perms.WRITE, (HOME, MAY))
    for other in (MAY._replace(id="CN=may, OU=ops, O=acme"), MAY._replace(scheme="digest"), HOME):
        assert not allowed(acl, Perms.READ, (other,))
    assert may_know(readers(acl), (MAY,)) and not may_know(readers(acl), (HOME, ANN))
    assert visible_acl(acl, (MAY,)) == acl


def test_auth_expands_to_digests_only_and_duplicates_go() -> None:
    asked = (Acl(1, "auth", ""), *READ_ACL, Acl(1, "auth", ""), *READ_ACL)
    assert fix_up(asked, (HOME, SUPER, ANN, BEN)) == (Acl(1, *ANN), Acl(1, *BEN), *READ_ACL)


@given(st.lists(st.sampled_from((*OPEN_ACL, *READ_ACL, Acl(3, *ANN), Acl(5, "ip", "10.0.0.0/8"))), min_size=1))
def test_fixing_up_twice_changes_nothing(acl: "list[Acl]") -> None:
    once = fix_up(acl, ())
    assert fix_up(once, ()) == once
    assert len(set(once)) == len(once)
    assert set(once) == set(acl)


@pytest.mark.parametrize(
    ("id_", "valid"),
    [
        ("a:b", True),
        (":b", True),
        ("a:b:", True),
        ("a:", False),
        ("a", False),
        ("a:b:c", False),
        (":", False),
        ("", False),
    ],
)
def test_a_digest_has_two_parts_as_java_splits_it(id_: str, valid: bool) -> None:
    acl = (Acl(31, "digest", id_),)
    if valid:
        assert fix_up(acl, ()) == acl
    else:
        with pytest.raises(ZkError):
            fix_up(acl, ())


@pytest.mark.parametrize(
    ("acl", "identities", "may"),
    [
        (READ_ACL, (), True),
        ((), (), True),
        ((Acl(Perms.READ, *ANN),), (ANN,), True),
        ((Acl(Perms.READ, *ANN),), (BEN, HOME), False),
        ((Acl(Perms.WRITE, *ANN),), (ANN,), False),
        ((Acl(0, *ANN),), (SUPER,), True),
        ((Acl(Perms.READ, *HOME),), (HOME,), True),
        ((Acl(Perms.READ, "ip", "127.0.0.0/8"),), (HOME,), True),
        ((Acl(Perms.READ, "digest", "127.0.0.1"),), (HOME,), False),
        ((Acl(Perms.READ, "super", ""),), (ANN,), False),
    ],
)
def test_allowed(acl: Acls, identities: Tuple[Id, ...], may: bool) -> None:
    assert allowed(acl, Perms.READ, identities) is may


def test_digests_are_masked_unless_one_may_change_the_acl() -> None:
    acl = (Acl(Perms.ADMIN | Perms.READ, *ANN), *READ_ACL)
    assert visible_acl(acl, (ANN,)) == acl
    assert visible_acl(acl, ()) == (Acl(17, "digest", "ann:x"), *READ_ACL)
    with pytest.raises(ZkError) as refused:
        visible_acl((Acl(Perms.WRITE, *ANYONE),), ())
    assert refused.value.code == Error.NO_AUTH


def test_authentication() -> None:
    assert authenticate("digest", "ann:secret", None) == (ANN,)
    assert authenticate("digest", "ann:secret", ANN) == (SUPER, ANN)
    assert authenticate("digest", "ann:wrong", ANN) == (digest_id("ann:wrong"),)
    assert authenticate("ip", "9.9.9.9", None, (ANN, HOME)) == (HOME,)
    assert authenticate("ip", "9.9.9.9", None) is None
    assert authenticate("sasl", "x", None, (HOME,)) is None
    assert authenticate("x509", "", None, (HOME, MAY)) == (MAY,)
    assert authenticate("x509", MAY.id, None, (HOME, ANN)) is None


@pytest.mark.parametrize(
    ("address", "expression", "match"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.1/32", True),
        ("127.0.0.1", "127.128.0.0/8", True),
        ("127.0.0.1", "127.128.0.0/9", False),
        ("127.0.0.1", "1.2.3.4/0", True),
        ("127.0.0.1", "127.0.0.1/33", False),
        ("127.0.0.1", "::/0", False),
        ("::1", "127.0.0.1", False),
        ("::1", "::1", True),
        ("fe80::1%eth0", "fe80::/10", True),
        ("fec0::1", "fe80::/10", False),
        ("2001:db8::1", "2001:0DB8:0:0::1/128", True),
        ("nonsense", "1.2.3.4/0", False),
        ("::1", ":::", False),
    ],
)
def test_addresses(address: str, expression: str, match: bool) -> None:
    assert address_matches(address, expression) is match


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 32))
def test_a_range_holds_exactly_the_addresses_with_its_prefix(one: int, other: int, bits: int) -> None:
    def dotted(value: int) -> str:
        return ".".join(str(byte) for byte in value.to_bytes(4, "big"))

    expression = "%s/%d" % (dotted(other), bits)
    assert is_address_range(expression)
    assert address_matches(dotted(one), expression) is (f"{one:032b}"[:bits] == f"{other:032b}"[:bits])


entries = st.builds(
    Acl,
    st.integers(0, 31),
    st.just("digest"),
    st.sampled_from((ANN.id, BEN.id, "ann:", ANN.id.lower())),
) | st.builds(
    Acl, st.integers(0, 31), st.just("ip"), st.sampled_from(("127.0.0.1", "127.0.0.0/8", "10.0.0.0/8", "::/0"))
) | st.builds(Acl, st.integers(0, 31), st.just("world"), st.just("anyone"))  # fmt: skip
whoever = st.lists(st.sampled_from((ANN, BEN, HOME, SUPER, Id("ip", "::1"))), unique=True).map(tuple)


@given(st.lists(entries, max_size=4).map(tuple), whoever)
def test_who_may_know_of_an_event_is_who_may_read(acl: Acls, identities: Tuple[Id, ...]) -> None:
    """What a trigger carries says of everybody what the ACL itself says."""
    assert may_know(readers(acl), identities) == allowed(acl, Perms.READ, identities)


def test_what_a_trigger_carries_shows_no_digest() -> None:
    acl = (Acl(Perms.ALL, *ANN), Acl(Perms.READ, "ip", "10.0.0.0/8"), Acl(Perms.WRITE, *BEN))
    found = readers(acl)
    assert found is not None and [len(each) for each in found] == [16, 13] and "ip:10.0.0.0/8" in found
    assert not any("ann" in each or ANN.id.split(":")[1] in each for each in found)
    assert readers((*acl, *READ_ACL)) is None and readers(()) is None
