"""The main job, live: a fleet of processes that coordinates without a ZooKeeper server, and loses its leader half-way.

    python examples/demo.py                          on a fresh local:// deployment
    python examples/demo.py --deployment URL         on a deployment of yours, in a namespace of its own
    python examples/demo.py --zookeeper HOSTS        the same fleet with kazoo itself, on ZooKeeper servers

Rule upheld here: it ends by itself, leaves nothing behind, and its exit code is 0 only if everything that the summary
lists did hold.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

from fleet_checks import Event, Killing, Run, events_of, judge
from fleet_screen import Screen, summary

WORKERS = ["ada", "bob", "cyd", "dee"]
BEFORE_S = 8.0
AFTER_S = 6.0
PATIENCE_S = 25.0
STATUS_EVERY_S = 2.0
SHARED: Dict[str, Callable[[Event], str]] = {
    "config": lambda event: f"reads configuration {event['revision']}: {event['value']}",
    "members": lambda event: f"sees {', '.join(event['members'])}",
}
LINES: Dict[str, Callable[[Event], str]] = {
    "state": lambda event: f"is {event['state']}",
    "begin": lambda event: f"LEADS, fence {event['fence']}",
    "end": lambda event: "steps down",
    "left": lambda event: "left in good order",
    "unsure": lambda event: f"can't know whether the counter is {event['value']} now",
    "trouble": lambda event: f"carries on after {event['error']}",
}


class Fleet:
    """The worker processes, and everything that they have told."""

    def __init__(self, script: Path, hosts: str, home: Path, screen: Screen) -> None:
        self.script, self.hosts, self.home, self.screen = script, hosts, home, screen
        self.events: List[Event] = []
        self.leader: Optional[str] = None
        self.ending = False
        self.processes: Dict[str, "subprocess.Popen[bytes]"] = {}
        self._views: Dict[str, Dict[str, str]] = {kind: {} for kind in SHARED}
        self._lock = threading.Lock()
        self._readers: List[threading.Thread] = []

    def start(self, name: str) -> None:
        """Starts one worker; what it says on stderr is kept in a file."""
        arguments = [name, "--hosts", self.hosts, "--leaders", str(self.home / "leaders")]
        with open(self.home / f"{name}.stderr", "wb") as errors:
            self.processes[name] = subprocess.Popen(
                [sys.executable, str(self.script), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        self._readers.append(threading.Thread(target=self._listen, args=(name,), daemon=True))
        self._readers[-1].start()

    def _listen(self, name: str) -> None:
        output = self.processes[name].stdout
        assert output is not None
        for line in output:
            event = {**json.loads(line), "ending": self.ending}
            self.events.append(event)
            self._narrate(event)

    def _narrate(self, event: Event) -> None:
        kind, who = event["event"], event["worker"]
        if kind == "begin":
            self.leader = who
        if self.ending and kind in ("members", "state"):
            return
        if kind in SHARED:
            self._agree(kind, who, SHARED[kind](event))
        elif kind in LINES:
            self.screen.line(who, LINES[kind](event), bold=kind == "begin")

    def _agree(self, kind: str, who: str, text: str) -> None:
        """Told once, when everybody who lives sees the same."""
        with self._lock:
            views = self._views[kind]
            views[who] = text
            living = {views.get(name) for name, process in self.processes.items() if process.poll() is None}
            if living == {text} and views.get("everybody") != text:
                views["everybody"] = text
                self.screen.line("", f"everybody {text}")

    def last(self, event: str, worker: str) -> Event:
        """The last event of that kind; empty if there was none."""
        found = events_of(list(self.events), event, worker)
        return found[-1] if found else {}

    def status(self) -> str:
        """The counter, and who has done how much of it."""
        done = events_of(list(self.events), "incremented")
        each = ", ".join(f"{name} {sum(one['worker'] == name for one in done)}" for name in WORKERS)
        return f"counter {max((one['value'] for one in done), default=0)} ({each})"

    def wait(self, what: str, holds: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
        """Until it holds, with the counter's progress in between; not longer than patience allows."""
        deadline = time.monotonic() + patience_s
        status_at = time.monotonic() + STATUS_EVERY_S
        while not holds():
            if time.monotonic() > deadline:
                self.screen.line("", f"waited {patience_s:.0f} s in vain: {what}", bold=True)
                return
            if time.monotonic() > status_at:
                self.screen.line("", self.status())
                status_at += STATUS_EVERY_S
            time.sleep(0.05)

    def kill_the_leader(self) -> Killing:
        """SIGKILL: no good-bye, no clean-up."""
        victim = self.leader or WORKERS[0]
        self.screen.line(victim, "is KILLED (SIGKILL)", bold=True)
        self.leader = None
        self.processes[victim].kill()
        self.processes[victim].wait()
        return Killing(victim, time.monotonic())

    def finish(self) -> Dict[str, int]:
        """Asks everybody to stop; the exit codes. Whoever does not stop is killed."""
        self.ending = True
        for process in self.processes.values():
            process.terminate()
        deadline = time.monotonic() + 20
        for process in self.processes.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
        for reader in self._readers:
            reader.join(5)
        return {name: process.wait() for name, process in self.processes.items()}


def leading(fleet: Fleet) -> bool:
    """Whether a leader is in the midst of its term."""
    begin, end = (fleet.last(event, fleet.leader) if fleet.leader else {} for event in ("begin", "end"))
    return bool(begin) and end.get("at", 0.0) < begin["at"]


def play(fleet: Fleet) -> Run:
    """The story; then what is known of it."""
    begun = time.monotonic()
    for name in WORKERS:
        fleet.start(name)
        time.sleep(0.3)
    everybody = sorted(WORKERS)
    fleet.wait("all see each other", lambda: all(fleet.last("members", w).get("members") == everybody for w in WORKERS))
    fleet.wait("half-time", lambda: time.monotonic() - begun > BEFORE_S and leading(fleet))
    killing = fleet.kill_the_leader()
    rest = [name for name in everybody if name != killing.worker]
    fleet.wait("a new leader", lambda: fleet.leader is not None)
    fleet.wait("the party knows", lambda: all(fleet.last("members", w).get("members") == rest for w in rest))
    resumed = time.monotonic()
    fleet.wait("some more work", lambda: time.monotonic() - resumed > AFTER_S)
    last = max((one["revision"] for one in events_of(list(fleet.events), "configured")), default=0)
    fleet.wait("all read that", lambda: all(fleet.last("config", w).get("revision", -1) >= last for w in rest))
    fleet.screen.line("", f"{fleet.status()}; asking everybody to stop")
    exit_codes = fleet.finish()
    with open(fleet.home / "leaders", encoding="utf-8") as file:
        terms = [json.loads(line) for line in file]
    # A last change during the stop may not have reached those who were stopping.
    events = [one for one in fleet.events if not (one["ending"] and one["event"] == "configured")]
    return Run(events, terms, read_counter(fleet), killing, rest, exit_codes)


def read_counter(fleet: Fleet) -> int:
    """The counter at the end, read by a client of our own after everybody has left."""
    spec = importlib.util.spec_from_file_location("fleet_as_run", fleet.script)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    client = module.KazooClient(hosts=fleet.hosts)
    client.start(timeout=15)
    try:
        return int(client.get(module.COUNTER)[0] or b"0")
    finally:
        client.stop()
        client.close()


def main() -> int:
    """0 if everything held."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--zookeeper", metavar="HOSTS", help="run the fleet with kazoo itself on these servers")
    parser.add_argument("--deployment", metavar="URL", help="run it on this deployment, in a namespace of its own")
    options = parser.parse_args()
    needed = "kazoo" if options.zookeeper else "fk_kazoo.client"
    try:
        importlib.import_module(needed)
    except ImportError as error:
        print(f"{error}: run `make demo`, or `{sys.executable} -m pip install .` first", file=sys.stderr)
        return 2
    home = Path(tempfile.mkdtemp(prefix="fk-kazoo-demo-"))
    script = Path(__file__).with_name("fleet.py")
    hosts = options.zookeeper or f"local://demo-{os.getpid()}"
    if options.deployment:
        joint = "&" if "?" in options.deployment else "?"
        hosts = f"{options.deployment}{joint}namespace=demo-{os.getpid()}"
    if options.zookeeper:
        source = re.sub(r"^from fk_kazoo\.", "from kazoo.", script.read_text(encoding="utf-8"), flags=re.MULTILINE)
        script = home / "fleet.py"
        script.write_text(source, encoding="utf-8")
    os.environ["FK_KAZOO_HOME"] = str(home)
    screen = Screen(WORKERS)
    screen.line("", f"{len(WORKERS)} workers on {hosts}")
    fleet = Fleet(script, hosts, home, screen)
    try:
        return summary(screen, judge(play(fleet)))
    finally:
        for process in fleet.processes.values():
            process.kill()
        for name in fleet.processes:
            sys.stderr.write((home / f"{name}.stderr").read_text(encoding="utf-8", errors="replace"))
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
