"""Counts its runs under a lock: start it as often as you like at the same time. ``python examples/lock.py [URL]``"""

import sys

from fk_kazoo.client import KazooClient
from fk_kazoo.locks import Lost

zk = KazooClient(sys.argv[1] if len(sys.argv) > 1 else "local://examples")
zk.start()
zk.ensure_path("/runs/count")
with zk.Lock("/runs/lock", lost=Lost.RAISE) as lock:  # LockLostError at the next call if it may be somebody else's
    count = int(zk.get("/runs/count")[0] or b"0") + 1
    zk.set("/runs/count", b"%d" % count)
    print("run %d, fence %d" % (count, lock.fence))
zk.stop()
