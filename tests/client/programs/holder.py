"""Connects, makes an ephemeral node, and stays: ``holder.py URL TIMEOUT PATH``. Prints its states; ends when told to.

Reads lines: ``stop`` ends the session, ``exit`` ends the process without ending the session.
"""

from __future__ import annotations

import os
import sys

from fk_kazoo.client import KazooClient


def main() -> None:
    """The program."""
    url, timeout, path = sys.argv[1:]
    client = KazooClient(url, timeout=float(timeout))
    client.add_listener(lambda state: print("state %s %s" % (state, client._session_id)))
    client.start()
    client.create(path, ephemeral=True, makepath=True)
    print("ready %d" % client.client_id[0])
    for line in sys.stdin:
        if line.strip() == "stop":
            client.stop()
            client.close()
            print("stopped")
        elif line.strip() == "exit":
            os._exit(0)


main()
