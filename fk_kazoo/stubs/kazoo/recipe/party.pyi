from collections.abc import Iterator

from kazoo.client import KazooClient

class BaseParty:
    """Who is there. Leaves when its session is over."""

    client: KazooClient
    path: str
    data: bytes
    ensured_path: bool
    participating: bool

    def __init__(self, client: KazooClient, path: str, identifier: str | None = None) -> None:
        """``identifier``: what others see of this one."""
    def join(self) -> None: ...
    def leave(self) -> bool:
        """Whether it was there."""
    def __len__(self) -> int:
        """How many are there."""

class Party(BaseParty):
    """Who is there; the identifiers are the nodes' data. Leaves when its session is over."""

    node: str
    create_path: str

    def __iter__(self) -> Iterator[str]:
        """The identifiers of who is there."""

class ShallowParty(BaseParty):
    """Who is there; the identifiers are in the nodes' names, so that one request shows all of them."""

    node: str
    create_path: str

    def __iter__(self) -> Iterator[str]:
        """The identifiers of who is there."""
