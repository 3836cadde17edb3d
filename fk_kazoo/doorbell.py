"""What kazoo takes for its TCP socket: one end of a pair, which holds one byte exactly while replies wait."""

from __future__ import annotations

import socket
from typing import Any, Tuple


class Doorbell:
    """The app's end of the pair, in place of kazoo's TCP socket: closing it hangs up, as closing that does."""

    def __init__(self, end: Any) -> None:
        self._end = end
        self.peer = ("", 0)

    def getpeername(self) -> Tuple[str, int]:
        """The server that the app named; the deployment's name and port 0 if it gave a URL."""
        return self.peer

    def fileno(self) -> int:
        """For `select`."""
        return int(self._end.fileno())

    def close(self) -> None:
        """Wakes whoever selects on it; the descriptor goes when the connection has seen it."""
        try:
            self._end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def discard(self) -> None:
        """Closes it for good."""
        self._end.close()

    def __getattr__(self, name: str) -> Any:
        """Whatever else an app may ask of a socket."""
        return getattr(self._end, name)
