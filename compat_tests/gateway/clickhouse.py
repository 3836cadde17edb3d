"""Debian's ClickHouse: two replicas that keep their log and their parts in what they take for a ZooKeeper."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Dict, Iterator, List, Sequence

from tests.differential.zookeeper_server import _free_port

from .fetched import with_what_it_needs

PATIENCE_S = 60.0
FOR_NOW = ("ZooKeeper", "KEEPER", "readonly", "read-only", "Leader")
"""In what it says when a session was lost, and who leads is not known yet."""
USERS = """<yandex><profiles><default/></profiles><quotas><default/></quotas><users><default><password/>
<networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></default></users></yandex>"""


class Replica:
    """A server of its own."""

    def __init__(self, name: str, within: Path, root: Path) -> None:
        self.name = name
        self.tcp, self.http, self.among = (_free_port() for _ in range(3))
        self._within = within / name
        self._root = root
        self._within.mkdir()

    def configure(self, replicas: Sequence["Replica"], zookeepers: Sequence[int]) -> None:
        """Writes its files. ``zookeepers``: ports."""
        nodes = "".join("<node><host>127.0.0.1</host><port>%d</port></node>" % port for port in zookeepers)
        all_of_them = "".join("<replica><host>127.0.0.1</host><port>%d</port></replica>" % r.tcp for r in replicas)
        path = str(self._within)
        parts = {
            "logger": "<level>warning</level><log>%s/log</log><errorlog>%s/errors</errorlog>" % (path, path),
            "http_port": str(self.http),
            "tcp_port": str(self.tcp),
            "interserver_http_port": str(self.among),
            "interserver_http_host": "127.0.0.1",
            "listen_host": "127.0.0.1",
            "path": path + "/",
            "tmp_path": path + "/tmp/",
            "users_config": "users.xml",
            "default_profile": "default",
            "default_database": "default",
            "mark_cache_size": "5242880",
            "zookeeper": nodes + "<session_timeout_ms>10000</session_timeout_ms>",
            "macros": "<replica>%s</replica>" % self.name,
            "remote_servers": "<both><shard><internal_replication>true</internal_replication>%s</shard></both>"
            % all_of_them,
            "distributed_ddl": "<path>/clickhouse/ddl</path>",
        }
        config = "<yandex>%s</yandex>" % "".join("<%s>%s</%s>" % (tag, text, tag) for tag, text in parts.items())
        (self._within / "config.xml").write_text(config)
        (self._within / "users.xml").write_text(USERS)

    @contextlib.contextmanager
    def runs(self) -> Iterator[None]:
        """Until the block ends."""
        libraries = {str(path.parent) for path in self._root.glob("**/lib*.so.*")}
        command = [str(self._root / "usr/sbin/clickhouse-server"), "--config-file", str(self._within / "config.xml")]
        environ = {**os.environ, "LD_LIBRARY_PATH": ":".join(sorted(libraries))}
        with open(self._within / "said", "wb") as said:
            process = subprocess.Popen(command, cwd=self._within, stdout=said, stderr=said, env=environ)
        try:
            self.until("SELECT 1", "1")
            yield
        finally:
            process.kill()
            process.wait()

    def ask(self, query: str) -> str:
        """Its answer. RuntimeError with what it says is wrong."""
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d/" % self.http, query.encode(), PATIENCE_S) as answer:
                return str(answer.read().decode()).strip()
        except urllib.error.HTTPError as error:
            raise RuntimeError("%s: %s: %s" % (self.name, query, error.read().decode()[:500])) from None

    def until(self, query: str, expected: str) -> None:
        """Asks until it is answered like that. AssertionError if it never is."""
        deadline, answer = time.monotonic() + PATIENCE_S, ""
        while time.monotonic() < deadline:
            try:
                answer = self.ask(query)
            except (OSError, RuntimeError) as error:
                answer = str(error)
            if answer == expected:
                return
            time.sleep(0.2)
        raise AssertionError("%s: %s: %r instead of %r" % (self.name, query, answer, expected))


@contextlib.contextmanager
def two(within: Path, zookeepers: Sequence[int]) -> Iterator[List[Replica]]:
    """Two replicas that run."""
    root = with_what_it_needs("clickhouse-server")
    replicas = [Replica(name, within, root) for name in ("a", "b")]
    for each in replicas:
        each.configure(replicas, zookeepers)
    with replicas[0].runs(), replicas[1].runs():
        yield replicas


def tour(replicas: Sequence[Replica], meanwhile: Dict[str, object]) -> List[str]:
    """What the two say of what each has done. ``meanwhile``: what happens at which step."""
    a, b = replicas
    said: List[str] = []

    def step(name: str) -> None:
        happens = meanwhile.get(name)
        if callable(happens):
            happens()

    place = "'/clickhouse/tables/{name}', '{{replica}}'"
    both = "CREATE TABLE hits ON CLUSTER both (d Date, n UInt32) ENGINE = ReplicatedMergeTree(%s, d, n, 8192)"
    said += sorted(line.split("\t")[2] for line in a.ask(both % place.format(name="hits")).splitlines())
    # First: once it has lost a session, this release hangs in ALTER, with a ZooKeeper that starts again, too.
    _surely(a, "ALTER TABLE hits ADD COLUMN more UInt8 DEFAULT 7")
    for batch in range(10):
        step("insert %d" % batch)
        rows = ",".join("('2020-01-0%d', %d, 7)" % (batch % 5 + 1, batch * 100 + n) for n in range(100))
        insert = "INSERT INTO hits VALUES " + rows
        for _ in range(2):  # the second is known already, and is not done again
            _surely((a, b)[batch % 2], insert)
    for each in replicas:
        each.until("SELECT count(), sum(n), uniq(n) FROM hits", "1000\t499500\t1000")
    for each in replicas:  # who has lost its session begins a new one, and what was its own has to go first
        each.until("SELECT total_replicas, active_replicas, is_readonly FROM system.replicas", "2\t2\t0")
    b.until("SELECT sum(more) FROM hits", "7000")
    _surely(b, "OPTIMIZE TABLE hits PARTITION 202001 FINAL")
    for each in replicas:
        each.until("SELECT count() FROM system.parts WHERE table = 'hits' AND active", "1")
        each.until("SELECT total_replicas, active_replicas, is_readonly FROM system.replicas", "2\t2\t0")
    said.append(a.ask("SELECT name FROM system.zookeeper WHERE path = '/clickhouse/tables/hits' ORDER BY name"))
    said.append("led: %s" % ("1" in [each.ask("SELECT is_leader FROM system.replicas") for each in replicas]))
    _surely(a, "ALTER TABLE hits DROP PARTITION 202001")
    b.until("SELECT count() FROM hits", "0")
    for each in replicas:
        _surely(each, "DROP TABLE hits")
    said.append(a.ask("SELECT name FROM system.zookeeper WHERE path = '/clickhouse/tables' ORDER BY name"))
    return said


def _surely(replica: Replica, query: str) -> None:
    """Again, if the server that it asked was lost; each of these may be done twice."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            replica.ask(query)
            return
        except RuntimeError as error:
            if not any(each in str(error) for each in FOR_NOW) or time.monotonic() > deadline:
                raise
            time.sleep(0.2)
