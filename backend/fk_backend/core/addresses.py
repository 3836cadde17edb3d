"""Addresses in ``ip`` ACLs.

Rule: an ``ip`` ACL matches as in ZooKeeper's ``IPAuthenticationProvider``: address, or address "/" prefix bits.

IPv4 as in ZooKeeper 3.8. IPv6, which 3.8.0 refuses, as in the versions that have learnt it.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple, Optional

_NUMBER = re.compile("[+-]?[0-9]{1,20}")


class _Range(NamedTuple):
    address: int
    width: int
    """Bits of an address: 32 or 128."""
    bits: int
    """How many of them, from the left, have to be equal."""


def is_address_range(expression: str) -> bool:
    """Whether it may be the id of an ``ip`` ACL (``isValid``): "10.0.0.1", "10.0.0.0/8", "fe80::/10"."""
    return _parse_range(expression) is not None


def address_matches(address: str, expression: str) -> bool:
    """Whether ``address`` lies in the range that ``expression`` names (``matches``); False if either is malformed."""
    wanted, given = _parse_range(expression), _parse_address(address)
    if wanted is None or given is None or wanted.width != given.width:
        return False
    shift = wanted.width - wanted.bits
    return wanted.address >> shift == given.address >> shift


def _parse_range(expression: str) -> Optional[_Range]:
    text, slash, bits_text = expression.partition("/")
    whole = _parse_address(text)
    if whole is None or not slash:
        return whole
    bits = _parse_int(bits_text)
    return whole._replace(bits=bits) if bits is not None and 0 <= bits <= whole.width else None


def _parse_address(text: str) -> Optional[_Range]:
    if ":" in text:
        return _parse_v6(text)
    parts = [_parse_int(part) for part in text.split(".")]
    value = 0
    for part in parts:
        if part is None or not 0 <= part <= 255:
            return None
        value = value << 8 | part
    return _Range(value, 32, 32) if len(parts) == 4 else None


def _parse_v6(text: str) -> Optional[_Range]:
    try:
        # The scope ("%eth0") is the client's own name for a link and says nothing about the address.
        return _Range(int(ipaddress.IPv6Address(text.partition("%")[0])), 128, 128)
    except ValueError:
        return None


def _parse_int(text: str) -> Optional[int]:
    """As Java's Integer.parseInt, which takes "+5" and "007"; int() alone would take " 5" and "5_0" too."""
    return int(text) if _NUMBER.fullmatch(text) else None
