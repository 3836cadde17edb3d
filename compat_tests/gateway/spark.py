"""Spark's standalone cluster: two masters, one of which leads by what they take for a ZooKeeper, a worker, a driver.

Its recovery is Curator's leader latch, and what it has to know again: workers, applications and drivers, in nodes.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Sequence

from kazoo.client import KazooClient

from tests.differential.zookeeper_server import _free_port

from .fetched import CLIENTS, need, sources
from .logged_process import LoggedProcess, asked

RELEASE = "pyspark==3.5.1"
AT = "/spark"


class Cluster:
    """Of one ZooKeeper, or what is taken for it. ``within``: an empty directory. ``zookeepers``: ports."""

    def __init__(self, within: Path, zookeepers: Sequence[int]) -> None:
        need("java", "bash")
        unpacked = sources(RELEASE)
        self._within = within
        self._home = unpacked / "deps"
        recovery = {
            "recoveryMode": "ZOOKEEPER",
            "zookeeper.url": ",".join("127.0.0.1:%d" % port for port in zookeepers),
            "zookeeper.dir": AT,
        }
        self._environ = {
            **os.environ,
            "SPARK_HOME": str(self._home),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_DAEMON_MEMORY": "300m",
            "SPARK_DAEMON_JAVA_OPTS": " ".join("-Dspark.deploy.%s=%s" % each for each in recovery.items()),
            "PYTHONPATH": os.pathsep.join([str(unpacked), *map(str, (self._home / "../lib").glob("py4j*.zip"))]),
        }
        self._ports = [_free_port(), _free_port()]
        self.url = "spark://" + ",".join("127.0.0.1:%d" % port for port in self._ports)

    def _daemon(self, kind: str, name: str, *words: str) -> LoggedProcess:
        command = ["bash", str(self._home / "bin/spark-class"), "org.apache.spark.deploy." + kind, *words]
        return LoggedProcess(command, self._within / name, self._environ)

    def master(self, number: int) -> "Master":
        """One of the two, begun."""
        port, web = self._ports[number], _free_port()
        words = ["--host", "127.0.0.1", "--port", str(port), "--webui-port", str(web)]
        return Master(self._daemon("master.Master", "master-%d" % number, *words), web)

    def worker(self) -> LoggedProcess:
        """The worker, begun."""
        words = ["--host", "127.0.0.1", "--webui-port", str(_free_port()), "--cores", "1", "--memory", "600m"]
        return self._daemon("worker.Worker", "worker", *words, "--work-dir", str(self._within / "work"), self.url)

    def application(self) -> LoggedProcess:
        """A driver, begun; it says its application's id, and then the sum of the numbers below each that it is told."""
        command = [sys.executable, str(CLIENTS / "sums.py"), self.url]
        return LoggedProcess(command, self._within / "driver", self._environ, pipes=True)


class Master:
    """A master, as it shows itself on its web page."""

    def __init__(self, process: LoggedProcess, web: int) -> None:
        self.process = process
        self._web = web

    def until(self, what: str, holds: Callable[[Dict[str, Any]], Any]) -> Any:
        """As `LoggedProcess.until`, of what its page tells."""
        return self.process.until(what, lambda: holds(asked(self._web, "/json/")))

    def until_it_is(self, status: str) -> None:
        """ALIVE for who leads, else STANDBY; RECOVERING in between."""
        self.until(status, lambda page: page["status"] == status)


def _worker(page: Dict[str, Any]) -> Any:
    return [each["id"] for each in page["workers"] if each["state"] == "ALIVE"]


def _kept(zookeepers: Sequence[int]) -> List[str]:
    """The kinds of what the masters have written down."""
    client = KazooClient(",".join("127.0.0.1:%d" % port for port in zookeepers))
    client.start(60.0)
    try:
        names: List[str] = client.get_children(AT + "/master_status")
        return sorted(name.split("_")[0] for name in names)
    finally:
        client.stop()
        client.close()


@contextlib.contextmanager
def _begun(master: Master) -> Iterator[Master]:
    with master.process:
        yield master


def tour(within: Path, zookeepers: Sequence[int], while_nobody_leads: Callable[[], None]) -> List[str]:
    """The leader is killed under an application, which goes on with the other one. What is told of it."""
    cluster, said = Cluster(within, zookeepers), []
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(_begun(cluster.master(0)))
        first.until_it_is("ALIVE")
        second = stack.enter_context(_begun(cluster.master(1)))
        second.until_it_is("STANDBY")
        stack.enter_context(cluster.worker())
        worker = first.until("a worker", _worker)
        driver = stack.enter_context(cluster.application())
        application = driver.read_line()
        said.append("sum: " + driver.send_line("1000"))
        running = [each["id"] for each in first.until("an application", lambda page: page["activeapps"])]
        assert running == [application], running
        said.append("kept: %s" % _kept(zookeepers))
        first.process.kill()
        while_nobody_leads()
        second.until_it_is("ALIVE")
        assert second.until("the worker is known", _worker) == worker
        running = [each["id"] for each in second.until("the application is known", lambda page: page["activeapps"])]
        assert running == [application], running
        said.append("sum: " + driver.send_line("2000"))
        said.append("kept: %s" % _kept(zookeepers))
        third = stack.enter_context(_begun(cluster.master(0)))
        third.until_it_is("STANDBY")
        said.append(driver.send_line(""))
        ended = second.until("the application has ended", lambda page: page["completedapps"])
        said.append("ended: %s" % [each["state"] for each in ended])
        said.append("kept: %s" % _kept(zookeepers))
    return said
