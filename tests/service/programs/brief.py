"""Connects, creates one sequential node, prints it, and goes: ``brief.py URL``. Waits for a line before it connects."""

from __future__ import annotations

import sys
from typing import Any

from fk_kazoo.client import KazooClient


def main() -> None:
    """The program."""
    client: Any = KazooClient(sys.argv[1], timeout=30)
    print("there")
    sys.stdin.readline()
    client.start(timeout=90)
    print("made", client.create("/n-", sequence=True), client.client_id[0])
    client.stop()
    client.close()


main()
