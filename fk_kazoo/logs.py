"""Log lines of ``fk_kazoo``: with deployment, session and path, and about one thing once in ten seconds.

An app that silenced kazoo's loggers does not want to hear of its connection: then these are silent, too.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Dict, List, Optional, Tuple

EVERY_S = 10.0
"""A line about the same thing is logged once in so long; the next one says how many were left out."""
MAX_KNOWN = 1024

_THEIRS = ("kazoo.client", "kazoo")
_OURS = (
    "attaching channel client connection creating forks held_nodes kept_ephemeral locks loop_thread why workers"
).split()
log = logging.getLogger("fk_kazoo.client")


class AsKazoo(logging.Filter):
    """Lets nothing through that the app does not want to hear of kazoo either."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is for anybody."""
        theirs = [logging.getLogger(name) for name in _THEIRS]
        level = next((each.level for each in theirs if each.level), logging.NOTSET)
        return record.levelno >= level and not any(each.disabled for each in theirs) and not _unheard(theirs[0])


def _unheard(logger: Optional[logging.Logger]) -> bool:
    """Whether an app cut it off: it ends below the root, and what handlers it has throw everything away."""
    handlers: List[logging.Handler] = []
    while logger is not None:
        handlers += logger.handlers
        if logger.parent is None:
            return False
        logger = logger.parent if logger.propagate else None
    return all(isinstance(handler, logging.NullHandler) for handler in handlers)


_last: Dict[Tuple[Any, ...], Tuple[float, int]] = {}


def log_limited(client: Any, level: int, what: str, path: str = "", *args: object) -> None:
    """Logs ``what % args`` with the deployment and the session of ``client``, and the path that it is about."""
    if not log.isEnabledFor(level):
        return
    left_out = _left_out((id(client), what, path))
    if left_out is None:
        return
    place = "%s, session 0x%x" % (client.deployment, client._session_id or 0)
    where = "%s, %s" % (place, path) if path else place
    more = " (and %d more like this)" % left_out if left_out else ""
    log.log(level, "%s: " + what + "%s", where, *args, more)


def _left_out(key: Tuple[Any, ...]) -> Any:
    """How many lines about this were left out since the last one; None if this is to be left out, too."""
    now = time.monotonic()
    last, count = _last.get(key, (None, 0))  # no lock: it might be held at a fork; two lines at once do no harm
    if last is not None and now - last < EVERY_S:
        _last[key] = (last, count + 1)
        return None
    if len(_last) >= MAX_KNOWN:
        _last.clear()
    _last[key] = (now, 0)
    return count


for _name in _OURS:
    logging.getLogger("fk_kazoo." + _name).addFilter(AsKazoo())
