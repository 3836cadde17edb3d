"""`create_once`, as `fk_kazoo.creating` has it: what is found out is the same, and waiting is awaiting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from kazoo.exceptions import ConnectionLoss, NodeExistsError, NoNodeError, SessionExpiredError

from .. import creating
from ..exceptions import PayloadTooLargeError

if TYPE_CHECKING:
    from .operations import Operations


async def create_once(client: Operations, path: str, value: bytes, sequence: bool, **options: Any) -> str:
    """The path of the node. NodeExistsError if somebody else has made it."""
    if sequence:
        path = creating.protected(path)
    elif await client.retry(client.exists, path):
        raise NodeExistsError
    doubtful = False

    async def make() -> str:
        nonlocal doubtful
        found = await _found() if doubtful else None
        if found is not None:
            return found
        try:
            made: str = await client.create(path, value, sequence=sequence, **options)
            return made
        except PayloadTooLargeError:  # nothing was done
            raise
        except (ConnectionLoss, SessionExpiredError):
            doubtful = True
            raise

    async def _found() -> Optional[str]:
        try:
            if sequence:
                return creating.named(path, await client.get_children(path.rpartition("/")[0] or "/"))
            data, stat = await client.get(path)
        except NoNodeError:
            return None
        session = client._session_id if options.get("ephemeral") else None
        return path if creating.is_own(value, session, data, stat) else None

    return await client.retry(make)
