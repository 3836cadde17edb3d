from kazoo.client import KazooClient

class Barrier:
    """Nobody passes `wait` until somebody removes it."""

    client: KazooClient
    path: str

    def __init__(self, client: KazooClient, path: str) -> None: ...
    def create(self) -> None:
        """Sets it up."""
    def remove(self) -> bool:
        """Lets everybody pass. Whether it was there."""
    def wait(self, timeout: float | None = None) -> bool:
        """Waits, ``timeout`` seconds at most. Whether it is gone."""

class DoubleBarrier:
    """So many begin together, and end together."""

    client: KazooClient
    path: str
    num_clients: int
    participating: bool
    assured_path: bool
    node_name: str
    create_path: str

    def __init__(self, client: KazooClient, path: str, num_clients: int, identifier: str | None = None) -> None: ...
    def enter(self) -> None:
        """Waits until ``num_clients`` have entered. If that fails, `participating` is False."""
    def leave(self) -> None:
        """Waits until everybody leaves."""
