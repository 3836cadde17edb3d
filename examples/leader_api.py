"""A FastAPI service of which any number runs, and one leads: only that one does the work that has to be done once.

    pip install fastapi uvicorn
    cd examples && FK_KAZOO_URL=local://examples uvicorn leader_api:app --port 8001
    cd examples && FK_KAZOO_URL=local://examples uvicorn leader_api:app --port 8002

GET / of each says who it is, whether it leads, and what the leader has counted; end one, and the other goes on.

``lost=Lost.RAISE``: a leader that is cut off, or stood still for too long, is interrupted at its next call, before
another one may lead. Its fence is written beside what it does: who was overtaken can be told from that.
"""

from __future__ import annotations

import json
import os
import threading
from contextlib import asynccontextmanager
from typing import Any, AsyncIterator, Dict

from fastapi import FastAPI
from kazoo.exceptions import KazooException

from fk_kazoo.client import KazooClient
from fk_kazoo.locks import LockLostError, Lost

COUNT = "/leader-api/count"
PACE_S = 0.1


class Member:
    """This process as one of those who may lead."""

    def __init__(self) -> None:
        self.name = "pid-%d" % os.getpid()
        self.zk = KazooClient(timeout=3.0)
        self.leads = False
        self.over = threading.Event()
        self.election: Any = None
        self.thread = threading.Thread(target=self.run, daemon=True)

    def start(self) -> None:
        """Connects, and runs for leader in a thread of its own."""
        self.zk.start()
        self.zk.ensure_path(COUNT)
        self.election = self.zk.Election("/leader-api/election", self.name, lost=Lost.RAISE)
        self.thread.start()

    def run(self) -> None:
        """Leads again and again, as often as it is its turn."""
        while not self.over.is_set():
            try:
                self.election.run(self.lead)
            except LockLostError:  # it may not lead any more: begin anew
                continue
            except KazooException:
                self.over.wait(PACE_S)
            finally:
                self.leads = False

    def lead(self) -> None:
        """What only the leader does."""
        self.leads = True
        while not self.over.wait(PACE_S):
            data, stat = self.zk.get(COUNT)
            count = json.loads(data)["count"] + 1 if data else 1
            done = {"count": count, "by": self.name, "fence": self.election.fence}
            self.zk.set(COUNT, json.dumps(done).encode(), version=stat.version)

    def stop(self) -> None:
        """Steps down in good order, so that nobody has to wait for the session's end."""
        self.over.set()
        self.election.cancel()
        self.thread.join(5)
        self.zk.stop()
        self.zk.close()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One member for each process: also where the server forks after it has imported this."""
    app.state.member = Member()
    app.state.member.start()
    yield
    app.state.member.stop()


app = FastAPI(lifespan=lifespan)


@app.get("/")
def status() -> Dict[str, Any]:
    """Who this is, whether it leads, and what the leader has done. FastAPI calls it in a thread."""
    member = app.state.member
    data, _ = member.zk.get(COUNT)
    return {"me": member.name, "leads": member.leads, "state": member.zk.why.reason, "done": json.loads(data or b"{}")}
