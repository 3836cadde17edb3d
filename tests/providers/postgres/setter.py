"""A client in a process of its own: it sets a node again and again, and says what became of each write.

python -m tests.providers.postgres.setter URL PATH
"""

from __future__ import annotations

import logging
import sys

from kazoo.exceptions import KazooException
from kazoo.handlers.threading import KazooTimeoutError

from fk_kazoo.client import KazooClient


def main(url: str, path: str) -> None:
    """Until it is killed. Each line: what it was, the number it wrote, the version that it is told."""
    logging.basicConfig(level=logging.CRITICAL)
    zk = KazooClient(url, timeout=6)
    zk.start(timeout=60)
    zk.ensure_path(path)
    number = int(zk.get(path)[0] or b"0")
    while True:
        number += 1
        try:
            version = zk.set_async(path, b"%d" % number).get(timeout=30).version
            print("set", number, version, flush=True)
        except (KazooException, KazooTimeoutError) as error:
            print("unknown", number, type(error).__name__, flush=True)
            while not zk.connected:
                zk.handler.sleep_func(0.02)


if __name__ == "__main__":
    main(*sys.argv[1:])
