"""Starts a client as a user who may not do much, and prints what came of it: ``as_nobody.py URL``.

Everything is imported before the rights are given up: the interpreter itself may lie where nobody may look.
"""

from __future__ import annotations

import os
import sys

import fk_backend.providers.local
from fk_kazoo.client import KazooClient

NOBODY = 65534


def main() -> None:
    """The program."""
    client = KazooClient(sys.argv[1])
    assert fk_backend.providers.local is not None
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    try:
        client.start(timeout=20)
        print("started")
        client.stop()
    except Exception as error:
        print("refused", type(error).__name__, error)


main()
