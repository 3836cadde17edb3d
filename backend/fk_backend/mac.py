"""Who sent a message, and whose inbox it names: proved by a key that only a session's two ends have.

The key is the hash of the session's password: the client knows the password, and functions keep the hash where no
client reads it. Everybody who may send to a queue can send any bytes for any session, and inboxes are named in tables
that clients read; so a message ends with a code that its session's key makes (HMAC-SHA-256, RFC 2104, cut to 16
bytes), and the name of an inbox is made with the key of the session that it is for.
"""

from __future__ import annotations

import hashlib
import hmac
import re

TAG_BYTES = 16
NONCE_BYTES = 4
_NAME = re.compile("([0-9a-f]{32})(?:-[1-9][0-9]{0,8})?")


def key_of(password: bytes) -> bytes:
    """The key of the session with that password."""
    return hashlib.sha256(password).digest()


def tag(payload: bytes, key: bytes) -> bytes:
    """What proves that whoever has the key sent this."""
    return hmac.digest(key, payload, "sha256")[:TAG_BYTES]


def is_tagged(body: bytes, key: bytes) -> bool:
    """Whether a payload with its tag was made with this key."""
    return hmac.compare_digest(tag(body[:-TAG_BYTES], key), body[-TAG_BYTES:])


def inbox_name(ns: str, key: bytes, nonce: bytes) -> str:
    """Of a connection of the session with that key, in 32 hexadecimal digits: namespace, nonce, proof.

    All inboxes of a namespace begin in the same way, so that permissions can be given for these alone. Where one queue
    serves a client's connections to a session, one after the other, the digits are the queue's name, and later
    connections append how often the client had connected again: ``-1``, ``-2``.
    """
    return "%s%s%s" % (inbox_prefix(ns), nonce.hex(), _proof(nonce, key))


def shared_name(inbox: str) -> str:
    """What the names of all connections have in common that one queue serves; of another name the name itself."""
    found = _NAME.fullmatch(inbox)
    return found[1] if found else inbox


def _proof(nonce: bytes, key: bytes) -> str:
    return hmac.digest(key, b"inbox" + nonce, "sha256")[:8].hex()


def inbox_prefix(ns: str) -> str:
    """What the names of a namespace's inboxes begin with: eight hexadecimal digits."""
    return hashlib.sha256(ns.encode()).hexdigest()[:8]


def is_inbox_of(inbox: str, key: bytes) -> bool:
    """Whether the session with that key can have an inbox of that name. Other than 32 digits, no client has one."""
    return not _NAME.fullmatch(inbox) or hmac.compare_digest(_proof(bytes.fromhex(inbox[8:16]), key), inbox[16:32])
