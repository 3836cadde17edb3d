"""ACLs: who may do what, and what of an ACL is shown.

Rule: who may do what is decided as ZooKeeper decides it, for the schemes that it has without plugins.

``world`` (only ``anyone``), ``digest`` and ``ip`` may stand in an ACL, ``auth`` is expanded to the digests and the
certificate that the session has shown. ``x509`` may stand in one that is set by a session with a certificate: a server
knows the scheme only where it asks for certificates. ``super`` is an identity only; all others are unknown here.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import lru_cache
from typing import Iterable, List, Optional, Tuple

from .addresses import address_matches, is_address_range
from .errors import ZkError
from .model import Acl, Acls, Error, Id, Perms
from .names import is_distinguished_name

ANYONE = Id("world", "anyone")

OPEN_ACL: Acls = (Acl(Perms.ALL, *ANYONE),)
"""``ZooDefs.Ids.OPEN_ACL_UNSAFE``."""

READ_ACL: Acls = (Acl(Perms.READ, *ANYONE),)
"""``ZooDefs.Ids.READ_ACL_UNSAFE``."""

SUPER = Id("super", "")

AUTHENTICATED = ("digest", "x509")
"""Schemes that say who one is, and not only where (``AuthenticationProvider.isAuthenticated``)."""


def fix_up(acl: Optional[Iterable[Acl]], identities: Tuple[Id, ...]) -> Acls:
    """The ACL to store for the one that was asked for (``PrepRequestProcessor.fixupACL``).

    Duplicates go, the first of them stays; ``auth`` becomes one entry for each digest and certificate of
    ``identities``. Raises ZkError(INVALID_ACL) for an ACL without entries, an unknown scheme or an id that is none of
    its scheme.
    """
    if acl == OPEN_ACL:  # the usual one, in no time, and all nodes share it
        return OPEN_ACL
    fixed: List[Acl] = []
    for entry in dict.fromkeys(acl or ()):
        fixed.extend(_expand(entry, identities))
    if not fixed:
        raise ZkError(Error.INVALID_ACL)
    return tuple(fixed)


def _expand(entry: Acl, identities: Tuple[Id, ...]) -> List[Acl]:
    if entry.scheme == "auth":
        expanded = [Acl(entry.perms, *identity) for identity in identities if identity.scheme in AUTHENTICATED]
    else:
        expanded = [entry] if _is_valid(entry, identities) else []
    if not expanded:
        raise ZkError(Error.INVALID_ACL)
    return expanded


def _is_valid(entry: Acl, identities: Tuple[Id, ...]) -> bool:
    if entry.scheme == "world":
        return entry.id == ANYONE.id
    if entry.scheme == "digest":
        # Java's split(":") drops empty strings at the end, and so does DigestAuthenticationProvider.isValid.
        return len(entry.id.rstrip(":").split(":")) == 2
    if entry.scheme == "x509":
        return is_distinguished_name(entry.id) and any(identity.scheme == "x509" for identity in identities)
    return entry.scheme == "ip" and is_address_range(entry.id)


def allowed(acl: Acls, perm: int, identities: Tuple[Id, ...]) -> bool:
    """Whether one of ``identities``, or anyone, has one of the bits ``perm`` (``ZooKeeperServer.checkACL``).

    An empty ACL allows everything, as on the server; :func:`fix_up` lets none be stored.
    """
    if acl == OPEN_ACL and perm & Perms.ALL:
        return True
    if not acl or any(identity.scheme == SUPER.scheme for identity in identities):
        return True
    return any(entry.perms & perm and _names_one_of(entry, identities) for entry in acl)


def _names_one_of(entry: Acl, identities: Tuple[Id, ...]) -> bool:
    if entry.scheme == "world":
        return entry.id == ANYONE.id
    return any(identity.scheme == entry.scheme and _matches(identity, entry.id) for identity in identities)


def _matches(identity: Id, expression: str) -> bool:
    if identity.scheme == "ip":
        return address_matches(identity.id, expression)
    return identity.scheme in AUTHENTICATED and identity.id == expression


def require(acl: Acls, perm: int, identities: Tuple[Id, ...]) -> None:
    """Raise ZkError(NO_AUTH) unless :func:`allowed`."""
    if not allowed(acl, perm, identities):
        raise ZkError(Error.NO_AUTH)


@lru_cache(maxsize=1000)
def readers(acl: Acls) -> Optional[Tuple[str, ...]]:
    """Who has READ by this ACL, in short, for `may_know`; None if everybody has.

    An address range as ``ip:`` and itself, a digest as 96 bits of its hash: this goes where everybody sees it, and
    what a digest looks like is shown to nobody without ADMIN (`visible_acl`).
    """
    if allowed(acl, Perms.READ, ()):
        return None
    return tuple(sorted({_short(entry.scheme, entry.id) for entry in acl if entry.perms & Perms.READ}))


def may_know(readers: Optional[Tuple[str, ...]], identities: Tuple[Id, ...]) -> bool:
    """Whether one of ``identities`` is among the `readers`: the same as `allowed` says of their ACL."""
    if readers is None or any(identity.scheme == SUPER.scheme for identity in identities):
        return True
    for scheme, id_ in identities:
        if scheme == "ip":
            if any(each[:3] == "ip:" and address_matches(id_, each[3:]) for each in readers):
                return True
        elif _short(scheme, id_) in readers:
            return True
    return False


def _short(scheme: str, id_: str) -> str:
    if scheme == "ip":
        return "ip:" + id_
    digest = hashlib.sha256(("%s:%s" % (scheme, id_)).encode("utf-8", "surrogatepass")).digest()
    return base64.b64encode(digest[:12]).decode("ascii")


def visible_acl(acl: Acls, identities: Tuple[Id, ...]) -> Acls:
    """The ACL as ``identities`` may see it (``FinalRequestProcessor``, getACL).

    It takes READ or ADMIN, else ZkError(NO_AUTH); without ADMIN a digest is shown as "user:x".
    """
    require(acl, Perms.READ | Perms.ADMIN, identities)
    if allowed(acl, Perms.ADMIN, identities):
        return acl
    return tuple(_masked(entry) if entry.scheme == "digest" else entry for entry in acl)


def _masked(entry: Acl) -> Acl:
    return entry._replace(id=re.sub(":.*", ":x", entry.id))


def digest_id(credential: str) -> Id:
    """The identity of "user:password": the user and the base64 SHA-1 of it all (``generateDigest``)."""
    sha1 = hashlib.sha1(credential.encode("utf-8")).digest()  # noqa: S324 (ZooKeeper's format)
    return Id("digest", credential.split(":", 1)[0] + ":" + base64.b64encode(sha1).decode("ascii"))


def authenticate(
    scheme: str, credential: str, super_id: Optional[Id], identities: Tuple[Id, ...] = ()
) -> Optional[Tuple[Id, ...]]:
    """The identities that ``credential`` proves, the one named by ``scheme`` last; None if it proves none.

    ``digest`` accepts everything, as ZooKeeper does: the password is checked where an ACL names its hash. The
    deployment's ``super_id`` is ``super`` as well. ``ip`` and ``x509`` prove the address and the certificate that the
    connection has anyway, which are among its ``identities``, whatever the credential says
    (``IPAuthenticationProvider``, ``X509AuthenticationProvider``); where there is none, nothing.
    """
    if scheme == "digest":
        identity = digest_id(credential)
        return (SUPER, identity) if identity == super_id else (identity,)
    if scheme in ("ip", "x509"):
        return tuple(identity for identity in identities if identity.scheme == scheme)[:1] or None
    return None
