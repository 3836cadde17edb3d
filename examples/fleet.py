"""One worker of a small fleet, written with kazoo's own recipes and nothing else.

    python fleet.py NAME [--hosts HOSTS] [--leaders FILE]

A worker joins a party, watches the configuration, runs for leader, and increments a shared counter under a lock. The
leader changes the configuration. What happens is told as JSON lines on stdout; SIGTERM ends it in good order.

Rule upheld here: nothing in this file knows that there are no ZooKeeper servers. Put ``kazoo.client`` in the import
line below, and it runs on some.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from typing import Any, Dict, Optional

from kazoo.exceptions import KazooException
from kazoo.protocol.states import KazooState

from fk_kazoo.client import KazooClient

CONFIG = "/fleet/config"
COUNTER = "/fleet/counter"
COUNTER_LOCK = "/fleet/counter-lock"
ELECTION = "/fleet/leader"
PARTY = "/fleet/party"

SESSION_TIMEOUT_S = 4.0
PACE_S = 0.25
CONFIG_EVERY_S = 1.2
TERM_S = 5.0


class Worker:
    """A member of the fleet. ``work()`` returns after ``stop`` was set."""

    def __init__(self, name: str, hosts: Optional[str], leaders: Optional[str]) -> None:
        self.name = name
        self.leaders = leaders
        self.stop = threading.Event()
        self.connected = threading.Event()
        self.rejoin = False
        settings: Dict[str, Any] = {"hosts": hosts} if hosts else {}
        self.zk = KazooClient(timeout=SESSION_TIMEOUT_S, **settings)
        self.zk.add_listener(self.state_changed)
        self.party = self.zk.Party(PARTY, name)
        self.election = self.zk.Election(ELECTION, name)

    def report(self, event: str, **details: Any) -> None:
        """One line on stdout, in one piece, whoever else is writing."""
        line = json.dumps({"worker": self.name, "event": event, "at": time.monotonic(), **details})
        os.write(sys.stdout.fileno(), line.encode() + b"\n")

    def state_changed(self, state: str) -> None:
        """kazoo's listener. A leader that is not connected must stop leading: see :meth:`lead`."""
        self.report("state", state=state)
        if state == KazooState.CONNECTED:
            self.connected.set()
        else:
            self.connected.clear()
            self.rejoin = self.rejoin or state == KazooState.LOST

    def work(self) -> None:
        """From the first connection to the good end."""
        self.zk.start(timeout=15)
        for path in (CONFIG, COUNTER, PARTY):
            self.zk.ensure_path(path)
        self.zk.DataWatch(CONFIG, self.config_changed)
        self.party.join()
        candidate = threading.Thread(target=self.run_for_leader, daemon=True)
        candidate.start()
        members = None
        while not self.stop.wait(PACE_S):
            try:
                members = self.check_members(members)
                self.increment()
            except KazooException as error:
                self.report("trouble", error=repr(error))
        self.election.cancel()
        candidate.join(10)
        self.party.leave()
        self.zk.stop()
        self.zk.close()
        self.report("left")

    def config_changed(self, data: Optional[bytes], stat: Any) -> None:
        """Called with the configuration as it is, and again whenever it has changed."""
        if data:
            self.report("config", revision=stat.version, value=data.decode())

    def check_members(self, known: Any) -> Any:
        """Tells who is in the party if that has changed, and rejoins it with a new session."""
        if self.rejoin and self.connected.is_set():
            self.rejoin = False
            self.party.join()
        members = sorted(self.party)
        if members != known:
            self.report("members", members=members)
        return members

    def increment(self) -> None:
        """Adds one to the counter. Only the lock protects it: read, add, write."""
        asked = None
        try:
            with self.zk.Lock(COUNTER_LOCK, self.name):
                value = int(self.zk.get(COUNTER)[0] or b"0") + 1
                asked = value
                self.zk.set(COUNTER, b"%d" % value)
                asked = None
                self.report("incremented", value=value)
        finally:
            if asked is not None:
                self.report("unsure", value=asked)

    def run_for_leader(self) -> None:
        """In a thread of its own: a candidate again after every term."""
        while not self.stop.is_set():
            try:
                self.election.run(self.lead)
            except KazooException as error:
                self.report("trouble", error=repr(error))
                self.stop.wait(PACE_S)
            self.stop.wait(PACE_S)

    def lead(self) -> None:
        """One term: changes the configuration now and then, and stops at once when the connection is in doubt."""
        _, stat = self.zk.get(f"{ELECTION}/{self.election.lock.node}")
        self.note_leadership("begin", stat.czxid)
        try:
            end = time.monotonic() + TERM_S
            while self.connected.is_set() and not self.stop.is_set() and time.monotonic() < end:
                _, config = self.zk.get(CONFIG)
                value = f"pace {config.version + 1}, says {self.name}"
                revision = self.zk.set(CONFIG, value.encode(), version=config.version).version
                self.report("configured", revision=revision)
                self.stop.wait(CONFIG_EVERY_S)
        finally:
            self.note_leadership("end", stat.czxid)

    def note_leadership(self, event: str, fence: int) -> None:
        """Begin or end of a term, with its fence (the czxid of the election node), in a file that leaders share."""
        self.report(event, fence=fence)
        if self.leaders:
            line = json.dumps({"worker": self.name, "event": event, "at": time.monotonic(), "fence": fence})
            with open(self.leaders, "ab", buffering=0) as file:
                file.write(line.encode() + b"\n")


def main() -> None:
    """Until SIGTERM."""
    parser = argparse.ArgumentParser(description="One worker of a small fleet.")
    parser.add_argument("name")
    parser.add_argument("--hosts", help="as KazooClient takes them; default: the client's own")
    parser.add_argument("--leaders", help="a file to which leaders append begin and end of their terms")
    options = parser.parse_args()
    worker = Worker(options.name, options.hosts, options.leaders)
    signal.signal(signal.SIGTERM, lambda *_: worker.stop.set())
    worker.work()


if __name__ == "__main__":
    main()
