"""Reattaches a session in another connection; refuses if the deployment lost commits that its client has seen."""

from __future__ import annotations

import logging
from typing import Optional

from fk_backend.errors import WentBack
from fk_backend.session.engine import EXPIRED, Opened, Session

log = logging.getLogger(__name__)


async def attach(session: Session, session_id: int, password: bytes, seen_zxid: int) -> Optional[Opened]:
    """As `Session.attach`; None, too, if ``seen_zxid`` was seen and is not there any more: then it is over.

    A deployment whose files were replaced by older ones may know the session, but not what it was answered. Attaching
    takes a zxid of its own, so it has to be a later one. `WentBack` says the same where others' writes hide that.
    """
    try:
        opened = await session.attach(session_id, password)
    except WentBack as error:
        log.error("%s", error)
        return None
    if opened is not None and opened.zxid <= seen_zxid:
        log.error("zxid 0x%x was seen, and the deployment is at 0x%x", seen_zxid, opened.zxid - 1)
        session.end(EXPIRED, "the deployment went back")
        return None
    return opened
