from typing import Final, NamedTuple

class Id(NamedTuple):
    """Whom an ACL is for: (``digest``, ``user:hash``), (``ip``, ``10.0.0.0/8``), (``world``, ``anyone``)."""

    scheme: str
    id: str

class ACL(NamedTuple):
    """What (see `Permissions`) somebody may do with a node."""

    perms: int
    id: Id

    @property
    def acl_list(self) -> list[str]:
        """The names of the permissions: READ, WRITE, CREATE, DELETE, ADMIN; or ALL."""

class Permissions:
    """Bits of `ACL.perms`."""

    READ: Final = 1
    WRITE: Final = 2
    CREATE: Final = 4
    DELETE: Final = 8
    ADMIN: Final = 16
    ALL: Final = 31

ANYONE_ID_UNSAFE: Id
AUTH_IDS: Id
OPEN_ACL_UNSAFE: list[ACL]
"""Everybody may do everything."""
CREATOR_ALL_ACL: list[ACL]
"""Whoever creates the node may do everything, and nobody else anything."""
READ_ACL_UNSAFE: list[ACL]
"""Everybody may read."""

def make_digest_acl_credential(username: str, password: str) -> str:
    """``user:hash``, as the scheme ``digest`` has it in an ACL."""

def make_acl(
    scheme: str,
    credential: str,
    read: bool = False,
    write: bool = False,
    create: bool = False,
    delete: bool = False,
    admin: bool = False,
    all: bool = False,
) -> ACL:
    """An ACL with these permissions."""

def make_digest_acl(
    username: str,
    password: str,
    read: bool = False,
    write: bool = False,
    create: bool = False,
    delete: bool = False,
    admin: bool = False,
    all: bool = False,
) -> ACL:
    """An ACL for who authenticates with this name and this password (``add_auth("digest", "name:password")``)."""
