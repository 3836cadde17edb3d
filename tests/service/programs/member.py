"""A client that does what it is told: ``member.py URL TIMEOUT``. Prints ``state STATE`` and ``ready SESSION PASSWORD``.

Reads lines and answers each with ``ok VALUE`` or ``ok error NAME``: ``create PATH [ephemeral]``, ``set PATH DATA``,
``get PATH``, ``exists PATH``, ``stop`` (ends the session; the program ends too), ``exit`` (ends the program only).
"""

from __future__ import annotations

import os
import sys
from typing import Any, List

from fk_kazoo.client import KazooClient


def tell(*words: object) -> None:
    """Prints a line, whole: there are several threads."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")


def perform(client: Any, words: List[str]) -> object:
    """One command."""
    verb, path = words[0], words[1]
    if verb == "create":
        return client.create(path, ephemeral="ephemeral" in words, makepath=True)
    if verb == "set":
        return client.set(path, words[2].encode()).version
    if verb == "get":
        return client.get(path)[0].decode()
    return bool(client.exists(path))


def main() -> None:
    """The program."""
    url, timeout = sys.argv[1:3]
    client: Any = KazooClient(url, timeout=float(timeout))
    client.add_listener(lambda state: tell("state", state))
    client.start(timeout=30)
    session, password = client.client_id
    tell("ready", session, password.hex())
    for line in sys.stdin:
        words = line.split()
        if words == ["exit"]:
            os._exit(0)
        if words == ["stop"]:
            client.stop()
            client.close()
            tell("ok")
            return
        try:
            tell("ok", perform(client, words))
        except Exception as error:
            tell("ok error", type(error).__name__)


main()
