"""A gateway, or a ZooKeeper, started as other people's tests start a ZooKeeper: with a zoo.cfg.

python -m compat_tests.gateway.as_server gateway|zookeeper FILE

Gateways whose data directories are beside each other stand in front of one deployment, as servers are one ensemble.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import List

from fk_kazoo.__main__ import main as fk_kazoo
from tests.differential.zookeeper_server import PATTERNS

from .fetched import java_path


def main(argv: List[str]) -> int:
    """Serves until it is ended."""
    kind, file = argv
    config = dict(line.partition("=")[::2] for line in Path(file).read_text().splitlines())
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if kind == "gateway":
        os.environ["FK_KAZOO_HOME"] = str(Path(config["dataDir"]).parent)
        place = "127.0.0.1:" + config["clientPort"]
        return fk_kazoo(["serve", "local://ensemble", "--listen", place, "--words", "*", "--max-client-cnxns", "0"])
    path = ":".join(java_path(*(name[: -len(".jar")] for name in PATTERNS)))
    switches = ["-Xmx200m", "-Dzookeeper.admin.enableServer=false", "-Dzookeeper.4lw.commands.whitelist=*", "-cp", path]
    os.execvp("java", ["java", *switches, "org.apache.zookeeper.server.quorum.QuorumPeerMain", file])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
