"""A pool of workers that share a queue of jobs, forked as Celery's prefork pool does it: after everything is imported.

    python examples/worker_pool.py URL [--workers 3] [--jobs 12] [--seconds 0.2]

The parent's client is connected before it forks. In a forked child the session is the parent's, so each worker starts
its own: ``zk.start()``, on the same object. A worker that is killed is replaced, and its job comes back when its
session is over. A job may be begun twice, and is done once: its result is a node, which only one can create.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from typing import Dict, List

from kazoo.exceptions import NodeExistsError

from fk_kazoo.client import KazooClient

SESSION_TIMEOUT_S = 3.0
JOBS, DONE = "/pool/jobs", "/pool/done"


def report(text: str) -> None:
    """One line on stdout, in one piece, whoever else is writing."""
    os.write(sys.stdout.fileno(), ("%d %s\n" % (os.getpid(), text)).encode())


def work(zk: KazooClient, seconds: float) -> None:
    """One worker, in a process of its own: until SIGTERM."""
    zk.start()
    queue = zk.LockingQueue(JOBS)
    report("works")
    while True:
        job = queue.get(timeout=1.0)
        if job is None:
            continue
        name = job.decode()
        report("begins %s" % name)
        time.sleep(seconds)  # the work itself
        try:
            zk.create_once("%s/%s" % (DONE, name), b"by %d" % os.getpid())
            report("did %s" % name)
        except NodeExistsError:
            report("finds %s done" % name)
        queue.consume()


class Pool:
    """The parent: forks workers, replaces those that end, and waits for the results."""

    def __init__(self, zk: KazooClient, seconds: float) -> None:
        self.zk, self.seconds = zk, seconds
        self.workers: List[int] = []

    def fork(self) -> None:
        """One more worker."""
        pid = os.fork()
        if not pid:
            try:
                work(self.zk, self.seconds)
            finally:
                os._exit(1)
        self.workers.append(pid)

    def replace(self) -> None:
        """Whoever has ended is replaced."""
        for pid in list(self.workers):
            if os.waitpid(pid, os.WNOHANG)[0]:
                report("lost worker %d" % pid)
                self.workers.remove(pid)
                self.fork()

    def stop(self) -> None:
        """Ends the workers. What they had begun would come back to whoever comes next."""
        for pid in self.workers:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)


def results(zk: KazooClient) -> Dict[str, str]:
    """Every job that is done, and by whom."""
    return {name: zk.get("%s/%s" % (DONE, name))[0].decode() for name in zk.get_children(DONE)}


def main() -> None:
    """Puts jobs into the queue, and waits until each is done."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=0.2)
    args = parser.parse_args()
    zk = KazooClient(args.url, timeout=SESSION_TIMEOUT_S)
    zk.start()
    zk.ensure_path(DONE)
    queue = zk.LockingQueue(JOBS)
    queue.put_all([b"job-%d" % number for number in range(args.jobs)])
    pool = Pool(zk, args.seconds)
    for _ in range(args.workers):
        pool.fork()
    while len(queue):  # also those that somebody has begun
        pool.replace()
        time.sleep(0.1)
    pool.stop()
    report("all %d done" % len(results(zk)))
    zk.stop()
    zk.close()


if __name__ == "__main__":
    main()
