"""Records the corpus of `compat_tests.differential` on a real ZooKeeper: ``python -m tests.differential.record COUNT``.

The same count makes the same programs; nothing that was recorded is edited by hand.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from compat_tests.differential.corpus import CORPUS, save
from compat_tests.differential.runner import Server

from .client_programs import drawn
from .zookeeper_server import ZookeeperServer

SEED = 38
AT_ONCE = 8
"""They don't see each other."""


def main() -> None:
    """Writes the corpus."""
    logging.getLogger("kazoo").setLevel(logging.CRITICAL)  # programs break connections on purpose
    all_programs = drawn(int(sys.argv[1]), SEED)
    with tempfile.TemporaryDirectory() as directory, ZookeeperServer(Path(directory)) as zookeeper:
        server = Server.zookeeper(zookeeper.hosts)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            save(zip(all_programs, pool.map(server.run, all_programs)))
        server.close()
    print("%d programs, %d bytes" % (len(all_programs), CORPUS.stat().st_size))


if __name__ == "__main__":
    main()
