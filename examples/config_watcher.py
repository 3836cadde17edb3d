"""A service that follows its configuration without being started again: ``python examples/config_watcher.py URL NAME``.

It prints each configuration that it applies, and says at /config/applied/NAME which one that is, so that whoever
changes it sees when everybody has it. That node is an ephemeral one: it goes with the process, and is made again if
only the session is lost. SIGTERM ends it in good order.

Change it by any client: ``zk.set("/config", b'{"workers": 8}')``.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from typing import Any, Dict, Optional

from kazoo.protocol.states import ZnodeStat

from fk_kazoo.client import KazooClient

DEFAULTS: Dict[str, Any] = {"workers": 1}


def main(url: str, name: str) -> None:
    """Follows the configuration until SIGTERM."""
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    zk = KazooClient(url)
    zk.start()
    applied = zk.keep("/config/applied/" + name, b"nothing")

    @zk.DataWatch("/config")
    def changed(data: Optional[bytes], stat: Optional[ZnodeStat]) -> None:
        try:
            config = {**DEFAULTS, **json.loads(data or b"{}")}
        except (ValueError, TypeError) as error:  # what is broken is not applied: the last good one stays
            print("refused: %s" % error, flush=True)
            return
        version = stat.version if stat is not None else -1
        print("version %d: %s" % (version, json.dumps(config, sort_keys=True)), flush=True)
        applied.set(b"%d" % version)

    over.wait()
    applied.close()
    zk.stop()
    zk.close()
    print("stopped", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:3])
