from kazoo.client import KazooClient

class BaseQueue:
    """What the queues have in common."""

    client: KazooClient
    path: str
    structure_paths: tuple[str, ...]
    ensured_path: bool

    def __init__(self, client: KazooClient, path: str) -> None: ...
    def __len__(self) -> int:
        """How many entries there are."""

class Queue(BaseQueue):
    """A queue. An entry that was taken is gone, even if whoever took it fails."""

    prefix: str

    def get(self) -> bytes | None:
        """Takes the first entry; None if there is none."""
    def put(self, value: bytes, priority: int = 100) -> None:
        """``priority``: 0 to 999, the smallest first."""

class LockingQueue(BaseQueue):
    """A queue. An entry that was taken is somebody else's if whoever took it fails before `consume`."""

    lock: str
    entries: str
    entry: str
    id: bytes
    processing_element: tuple[str, bytes] | None

    def put(self, value: bytes, priority: int = 100) -> None:
        """``priority``: 0 to 999, the smallest first."""
    def put_all(self, values: list[bytes], priority: int = 100) -> None:
        """All of them, or none."""
    def get(self, timeout: float | None = None) -> bytes | None:
        """Waits for an entry, ``timeout`` seconds at most, and locks it; None if there is none.

        The same one again until it is consumed or released.
        """
    def holds_lock(self) -> bool:
        """Whether the entry is still this one's."""
    def consume(self) -> bool:
        """Removes the entry. Whether it was still this one's."""
    def release(self) -> bool:
        """Gives the entry back, for others. Whether it was still this one's."""
