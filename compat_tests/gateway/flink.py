"""Flink's standalone cluster: two job managers, one of which leads by what they take for a ZooKeeper, and one job.

There it keeps who leads, which jobs there are, and the latest checkpoint of each, with files beside it.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence

from kazoo.client import KazooClient
from kazoo.exceptions import NoNodeError

from tests.differential.zookeeper_server import _free_port

from .fetched import CLIENTS, need, said, sources
from .logged_process import LoggedProcess, asked

RELEASE = "apache-flink-libraries==1.20.1"
ENTRIES = "org.apache.flink.runtime."
OPENED = (
    "net util util.concurrent util.concurrent.atomic util.concurrent.locks lang lang.reflect nio text time io".split()
)
"""Packages of Java's that Flink reaches into, as its own settings have it."""
CONSOLE = """rootLogger.level = WARN
rootLogger.appenderRef.a.ref = A
appender.a.name = A
appender.a.type = CONSOLE
appender.a.target = SYSTEM_ERR
appender.a.layout.type = PatternLayout
appender.a.layout.pattern = %d %p %c %m%n
"""


class Cluster:
    """Of one ZooKeeper, or what is taken for it. ``within``: an empty directory. ``zookeepers``: ports."""

    def __init__(self, within: Path, zookeepers: Sequence[int]) -> None:
        need("java", "javac")
        self._within = within
        self._home = sources(RELEASE) / "deps"
        self._settings = {
            "high-availability.type": "zookeeper",
            "high-availability.zookeeper.quorum": ",".join("127.0.0.1:%d" % port for port in zookeepers),
            "high-availability.zookeeper.client.session-timeout": "10 s",
            "high-availability.zookeeper.client.tolerate-suspended-connections": "true",
            "high-availability.storageDir": "file://%s/kept" % within,
            "execution.checkpointing.storage": "filesystem",
            "execution.checkpointing.dir": "file://%s/checkpoints" % within,
            "execution.checkpointing.interval": "500 ms",
            "jobmanager.rpc.address": "127.0.0.1",
            "taskmanager.host": "127.0.0.1",
            "taskmanager.numberOfTaskSlots": "1",
            "taskmanager.cpu.cores": "1.0",
            "taskmanager.memory.task.heap.size": "128 mb",
            "taskmanager.memory.task.off-heap.size": "0 mb",
            "taskmanager.memory.network.min": "64 mb",
            "taskmanager.memory.network.max": "64 mb",
            "taskmanager.memory.managed.size": "64 mb",
            "taskmanager.memory.framework.heap.size": "128 mb",
            "taskmanager.memory.framework.off-heap.size": "128 mb",
            "taskmanager.memory.jvm-metaspace.size": "256 mb",
            "taskmanager.memory.jvm-overhead.min": "192 mb",
            "taskmanager.memory.jvm-overhead.max": "192 mb",
            "rest.address": "127.0.0.1",
            "parallelism.default": "1",
            "restart-strategy.type": "fixed-delay",
            "restart-strategy.fixed-delay.attempts": "1000",
            "restart-strategy.fixed-delay.delay": "1 s",
        }

    def _java(self, name: str, what: Sequence[str], **settings: str) -> List[str]:
        """A command, with a directory of settings of its own, which is its last word."""
        place = self._within / name
        place.mkdir()
        (place / "config.yaml").write_text(
            "".join("%s: %s\n" % each for each in {**self._settings, **settings}.items())
        )
        (place / "log4j.properties").write_text(CONSOLE)
        opened = ["--add-opens=java.base/java.%s=ALL-UNNAMED" % each for each in OPENED]
        logging = "-Dlog4j.configurationFile=file:%s/log4j.properties" % place
        return ["java", "-Xmx500m", *opened, logging, "-cp", str(self._home / "lib/*"), *what, str(place)]

    def _started(self, name: str, entry: str, **settings: str) -> LoggedProcess:
        command = self._java(name, [ENTRIES + entry, "--configDir"], **settings)
        return LoggedProcess(command, self._within / (name + ".log"), dict(os.environ))

    def job_manager(self, number: int) -> "JobManager":
        """One of the two, begun."""
        web = _free_port()
        ports = {"rest.port": str(web), "rest.bind-port": str(web)}
        name = "manager-%d" % number
        return JobManager(self._started(name, "entrypoint.StandaloneSessionClusterEntrypoint", **ports), web)

    def task_manager(self) -> LoggedProcess:
        """Who does the work, begun."""
        return self._started("tasks", "taskexecutor.TaskManagerRunner")

    def submit(self) -> str:
        """The job's id. Who submits it finds out who leads as the others do."""
        output = said(self._java("client", [str(CLIENTS / "Numbers.java")]))
        found = re.search(r"job ([0-9a-f]{32})", output)
        assert found is not None, output
        return found.group(1)


class JobManager:
    """A job manager, by what it answers over HTTP."""

    def __init__(self, process: LoggedProcess, web: int) -> None:
        self.process = process
        self._web = web

    def ask(self, path: str, method: str = "GET") -> Any:
        """Of its REST interface."""
        return asked(self._web, path, method)

    def until_done(self, job: str, more_than: int) -> int:
        """How many checkpoints of a job that runs are done, when there are more than so many."""

        def done() -> Any:
            answer = self.ask("/jobs/%s/checkpoints" % job)
            count = int(answer["counts"]["completed"])
            return count if count > more_than and self.ask("/jobs/" + job)["state"] == "RUNNING" else 0

        return int(self.process.until("more than %d checkpoints" % more_than, done))

    def last_checkpoint(self, job: str) -> int:
        """Of those that are done."""
        return int(self.ask("/jobs/%s/checkpoints" % job)["latest"]["completed"]["id"])


def _kept(zookeepers: Sequence[int], job: str) -> Dict[str, bool]:
    """Whether something is written down of jobs, and of checkpoints of this one."""
    client = KazooClient(",".join("127.0.0.1:%d" % port for port in zookeepers))
    client.start(60.0)
    found = {}
    try:
        for name in ("jobgraphs", "jobs", "jobs/%s/checkpoints" % job):
            try:
                found[name.replace(job, "ours")] = bool(client.get_children("/flink/default/" + name))
            except NoNodeError:
                found[name.replace(job, "ours")] = False
        return found
    finally:
        client.stop()
        client.close()


def tour(
    within: Path, zookeepers: Sequence[int], while_it_runs: Callable[[], None], while_nobody_leads: Callable[[], None]
) -> List[str]:
    """The leader is killed under a job, which goes on from its last checkpoint. What is told of it."""
    cluster, outcome = Cluster(within, zookeepers), []
    with contextlib.ExitStack() as stack:
        first = cluster.job_manager(0)
        stack.enter_context(first.process)
        first.process.until("one leads", lambda: "taskmanagers" in first.ask("/overview"))
        second = cluster.job_manager(1)
        stack.enter_context(second.process)
        stack.enter_context(cluster.task_manager())
        second.process.until("a task manager", lambda: second.ask("/overview")["taskmanagers"] == 1)
        job = cluster.submit()
        done = first.until_done(job, 2)
        while_it_runs()
        first.until_done(job, done + 2)
        last = first.last_checkpoint(job)
        outcome.append("kept: %s" % _kept(zookeepers, job))
        first.process.kill()
        while_nobody_leads()
        second.until_done(job, 0)
        restored = second.ask("/jobs/%s/checkpoints" % job)["latest"]["restored"]["id"]
        assert last <= restored < second.last_checkpoint(job), (last, restored)
        assert [each["id"] for each in second.ask("/jobs")["jobs"]] == [job]
        outcome.append("kept: %s" % _kept(zookeepers, job))
        second.ask("/jobs/" + job, "PATCH")
        second.process.until("it is cancelled", lambda: second.ask("/jobs/" + job)["state"] == "CANCELED")
        second.process.until("it is forgotten", lambda: not any(_kept(zookeepers, job).values()))
        outcome.append("kept: %s" % _kept(zookeepers, job))
    return outcome
