"""Programs without end on a real ZooKeeper and on deployments: ``python -m tests.differential.long [PROGRAMS]``.

Rule upheld here: what was compared is written down, shard by shard, so that a run that was stopped is gone on with by
the same command. A shard is a seed: the same seed makes the same programs. What differs is written down with its
program, and makes the exit code 1. FK_DIFFERENTIAL_URLS (space-separated) names the deployments.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

from compat_tests.differential.compare import differences
from compat_tests.differential.runner import Program, Server, keep_containers

from ..checkout import ROOT, commit
from .client_programs import drawn
from .zookeeper_server import ZookeeperServer, unavailable

SHARD = 250
"""Programs of a seed."""
AT_ONCE = 8
"""Of a process: they don't see each other, and most of each is waiting."""
DONE = ROOT / "docs" / "long-runs" / "differential.jsonl"
URLS = os.environ.get("FK_DIFFERENTIAL_URLS", "memory://shard{seed} local://shard{seed}").split()
MEMORY = Path("/dev/shm")
"""Where nothing waits for a disk; what a power cut leaves is not compared here."""


def compared(seed: int, hosts: str) -> Tuple[List[Dict[str, Any]], List[Dict[str, Any]]]:
    """What differs in a shard, and what did so only once: where a machine is too busy, sessions are SUSPENDED."""
    programs = drawn(SHARD, seed)
    twice: List[Dict[str, Any]] = []
    once: List[Dict[str, Any]] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        zookeeper = Server.zookeeper(hosts, "/shard%d" % seed)
        real = list(pool.map(partial(_seen, zookeeper), programs))
        for url in URLS:
            ours = Server.deployment(url.format(seed=seed))
            for program, there, here in zip(programs, real, pool.map(partial(_seen, ours), programs)):
                found = _differences(there, here)
                if found:
                    again = _differences(_seen(zookeeper, program), _seen(ours, program))
                    (twice if again else once).append({"url": url, "program": program, "found": found})
            ours.close()
        zookeeper.close()
    return twice, once


def _seen(server: Server, program: Program) -> Any:
    try:
        return server.run(program)
    except Exception as error:
        return "it failed: %r" % error


def _differences(real: Any, ours: Any) -> List[str]:
    failed = [each for each in (real, ours) if isinstance(each, str)]
    return failed or differences(real, ours)


def _begin() -> None:
    """Of a process of its own, which ends with the one that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_containers()
    logging.getLogger("kazoo").setLevel(logging.CRITICAL)  # programs break connections on purpose
    warnings.simplefilter("ignore")


def _shard(task: Tuple[int, str]) -> Dict[str, Any]:
    seed, hosts = task
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as home:
        os.environ["FK_KAZOO_HOME"] = home
        twice, once = compared(seed, hosts)
    done = {"seed": seed, "programs": SHARD, "urls": URLS, "differences": twice, "once": once, "code": commit()}
    return {**done, "grammar": grammar()}


def grammar() -> str:
    """Another one wherever the same seeds make other programs: then what was done before does not count."""
    return hashlib.sha256(json.dumps(drawn(50, 0)).encode()).hexdigest()[:8]


def _done(path: Path) -> List[Dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def run(programs: int, processes: int, until: float, done: Path) -> Iterator[Dict[str, Any]]:
    """Shards that are done, those of earlier runs first."""
    before = [each for each in _done(done) if each["urls"] == URLS and each.get("grammar") == grammar()]
    yield from before
    over = {each["seed"] for each in before}
    seeds = [seed for seed in range(-(-programs // SHARD)) if seed not in over]
    done.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory, ZookeeperServer(Path(directory)) as zookeeper:
        with multiprocessing.get_context("spawn").Pool(processes, _begin, maxtasksperchild=8) as pool:
            for shard in pool.imap_unordered(_shard, [(seed, zookeeper.hosts) for seed in seeds]):
                with open(done, "a", encoding="utf-8") as file:
                    file.write(json.dumps(shard) + "\n")
                yield shard
                if time.monotonic() > until:
                    return


def main(argv: Optional[List[str]] = None) -> int:
    """0 if so many were compared, and nothing differs."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential.long", description=str(__doc__).splitlines()[0])
    parser.add_argument("programs", nargs="?", type=int, default=100000)
    parser.add_argument("--within", type=float, default=1e9, metavar="SECONDS", help="stops after the shard then")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--done", type=Path, default=DONE, help="where it is written down (default: %(default)s)")
    options = parser.parse_args(argv)
    if unavailable() is not None:
        print(unavailable(), file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and end what was started
    started, count, different, once = time.monotonic(), 0, 0, 0
    for shard in run(options.programs, options.processes, started + options.within, options.done):
        count += shard["programs"]
        different += len(shard["differences"])
        once += len(shard["once"])
        for each in shard["differences"]:
            print("seed %d: %s" % (shard["seed"], json.dumps(each)))
        words = (count, different, once, time.monotonic() - started)
        print("%d programs, %d differences (%d only once), %.0f s" % words, flush=True)
    return 0 if count >= options.programs and not different else 1


if __name__ == "__main__":
    sys.exit(main())
