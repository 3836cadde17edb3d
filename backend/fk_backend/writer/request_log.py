"""What became of each request, for whoever follows one through the logs: at DEBUG, since a line costs something.

The fields of a record (``extra``) are what a structured log takes from it. ``connection`` and ``request`` are what a
client says when it sends: see `session.uploads`.
"""

from __future__ import annotations

import logging
from typing import Optional, Sequence

from ..core.requests import Result
from ..messages import Entry, Message

log = logging.getLogger(__name__)


def log_done(ns: str, entries: Sequence[Entry], results: Sequence[Result], sent: Optional[Message] = None) -> None:
    """Requests, and what each is answered at which zxid. ``sent``: what no queue had, whose entry does not name it."""
    if not log.isEnabledFor(logging.DEBUG):
        return
    for entry, result in zip(entries, results):
        fields = {
            "namespace": ns,
            "session": "0x%x" % entry.call.session,
            "connection": entry.inbox if sent is None else sent.inbox,
            "request": entry.number if sent is None else sent.first,
            "kind": type(entry.call.request).__name__,
            "code": result.code,
            "zxid": "0x%x" % result.zxid,
        }
        text = "namespace %(namespace)s, session %(session)s: request %(request)d, %(kind)s: code %(code)d at %(zxid)s"
        log.debug(text, fields, extra=fields)
