"""Runs recorded programs on a deployment and says where it does not do what ZooKeeper did.

python -m compat_tests.differential --url URL [--programs N] [--at-once N] [--asyncio]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional, Sequence

from . import asynchronous
from .compare import differences
from .corpus import CORPUS, Recorded, for_deployment, load
from .runner import Program, Server, keep_containers


class Difference(NamedTuple):
    """A program that saw something else here, and what."""

    number: int
    program: Program
    found: List[str]


def replay(server: Server, recorded: Sequence[Recorded], at_once: int = 1) -> Iterator[Difference]:
    """Runs the programs; those that differ. They don't see each other, so several can run at once."""

    def one(number: int) -> Difference:
        program, transcript = recorded[number]
        try:
            found = differences(transcript, json.loads(json.dumps(server.run(program))))
        except Exception as error:
            found = ["it failed: %r" % error]
        return Difference(number, program, found)

    with ThreadPoolExecutor(at_once) as pool:
        for done in pool.map(one, range(len(recorded))):
            if done.found:
                yield done


def _threads(options: argparse.Namespace, recorded: Sequence[Recorded]) -> Iterator[Difference]:
    server = Server.deployment(options.url)
    try:
        yield from replay(server, recorded, options.at_once)
    finally:
        server.close()


def _asyncio(options: argparse.Namespace, recorded: Sequence[Recorded]) -> Iterator[Difference]:
    return (Difference(*each) for each in asyncio.run(asynchronous.replay(options.url, recorded, options.at_once)))


def main(argv: Optional[List[str]] = None) -> int:
    """0 if nothing differs."""
    parser = argparse.ArgumentParser(prog="python -m compat_tests.differential", description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True, help="the deployment; below /differential there has to be nothing else")
    parser.add_argument("--corpus", type=Path, default=CORPUS, help="another recording")
    parser.add_argument("--programs", type=int, help="only so many of them, evenly spread")
    parser.add_argument("--at-once", type=int, default=4, help="how many run at the same time (default: 4)")
    parser.add_argument("--asyncio", action="store_true", help="through fk_kazoo.aio")
    options = parser.parse_args(argv)
    logging.getLogger("kazoo").setLevel(logging.CRITICAL)  # programs break connections on purpose
    warnings.filterwarnings("ignore", category=UserWarning, module="kazoo")
    recorded = for_deployment(options.url, load(options.corpus))
    if options.programs is not None:
        recorded = recorded[:: max(1, len(recorded) // options.programs)][: options.programs]
    started, different = time.monotonic(), 0
    for each in _asyncio(options, recorded) if options.asyncio else _threads(options, recorded):
        different += 1
        print("program %d: %s" % (each.number, json.dumps(each.program)))
        print("\n".join("    " + line for line in each.found), flush=True)
    words = (options.url, len(recorded), different, time.monotonic() - started)
    print("%s: %d programs, %d of them with differences from ZooKeeper 3.8, in %.0f s" % words)
    return 1 if different else 0


if __name__ == "__main__":
    keep_containers()
    sys.exit(main())
