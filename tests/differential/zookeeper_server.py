"""A real ZooKeeper 3.8 on a loopback port, from Debian's jars, for tests that compare with it.

`with ZookeeperServer(directory) as server:` runs it until the block ends; `unavailable()` says why it can't be
run here.
"""

from __future__ import annotations

import glob
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import List, Optional, Type

JARS = "/usr/share/java"
PATTERNS = ("zookeeper.jar", "zookeeper-jute.jar", "slf4j-api.jar", "slf4j-simple.jar", "netty-*.jar",
            "snappy-java.jar", "metrics-core.jar", "commons-io.jar", "commons-cli.jar")  # fmt: skip

SUPER_CREDENTIAL = "super:hunter2"
SUPER_DIGEST = "super:V1o6/gHR24bI2f+NOZanWPgr+eg="
"""What ZooKeeper's DigestAuthenticationProvider makes of it; a test recomputes it."""

START_TIMEOUT_S = 60.0


def unavailable() -> Optional[str]:
    """Why no server can be started on this machine, or None."""
    if shutil.which("java") is None:
        return "no java on the PATH"
    missing = [name for name in PATTERNS if not glob.glob(os.path.join(JARS, name))]
    return "no %s in %s (apt-get install zookeeper)" % (", ".join(missing), JARS) if missing else None


class ZookeeperServer:
    """One standalone server. ``hosts`` is what a client connects to.

    ``durable``: as it comes, with forceSync; else nothing here has to survive a crash. ``heap`` as for java's -Xmx.
    """

    def __init__(
        self, directory: Path, durable: bool = False, heap: str = "256m", super_digest: str = SUPER_DIGEST
    ) -> None:
        self.directory = directory
        self.super_digest = super_digest
        self.durable = durable
        self.heap = heap
        self.port = _free_port()
        self.hosts = "127.0.0.1:%d" % self.port
        self._process: Optional[subprocess.Popen[bytes]] = None

    def __enter__(self) -> ZookeeperServer:
        config = self.directory / "zoo.cfg"
        config.write_text(self._config())
        with open(self.directory / "zookeeper.log", "wb") as log:
            self._process = subprocess.Popen(self._command(config), cwd=self.directory, stdout=log, stderr=log)
        try:
            self._wait_until_it_answers()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._stop()

    def _config(self) -> str:
        lines = {
            "tickTime": 500,
            "minSessionTimeout": 1000,
            "maxSessionTimeout": 3600000,
            "dataDir": self.directory / "data",
            "clientPort": self.port,
            "clientPortAddress": "127.0.0.1",
            "admin.enableServer": "false",
            "4lw.commands.whitelist": "*",
            "maxClientCnxns": 0,
            "forceSync": "yes" if self.durable else "no",
        }
        return "".join("%s=%s\n" % each for each in lines.items())

    def _command(self, config: Path) -> List[str]:
        jars = [jar for name in PATTERNS for jar in sorted(glob.glob(os.path.join(JARS, name)))]
        return [
            "java",
            "-Xmx" + self.heap,
            "-Dzookeeper.extendedTypesEnabled=true",
            "-Dzookeeper.forceSync=" + ("yes" if self.durable else "no"),
            "-Dznode.container.checkIntervalMs=86400000",  # containers stay: a reaper would race with the comparison
            "-Dzookeeper.DigestAuthenticationProvider.superDigest=" + self.super_digest,
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp",
            ":".join(jars),
            "org.apache.zookeeper.server.ZooKeeperServerMain",
            str(config),
        ]

    @property
    def pid(self) -> int:
        """Of the server while it runs, else 0."""
        return 0 if self._process is None else self._process.pid

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not _is_serving(self.port):
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                log = (self.directory / "zookeeper.log").read_text(errors="replace")
                raise RuntimeError("ZooKeeper did not start:\n" + log[-4000:])
            time.sleep(0.01)

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_serving(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(b"srvr")  # "ruok" is answered before sessions can be opened
            return b"Mode: " in connection.makefile("rb").read()
    except OSError:
        return False
