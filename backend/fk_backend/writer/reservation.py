"""Reservations: a commit in two writes, the head first and the node after it.

Rule: where a commit of two items costs twice what they cost one by one, the head goes first and promises the node.

Only for one request that changes the data of one node, so that the tree is the one before or the one after, whatever a
reader sees. The request's message is what makes the promise good: it is not acknowledged before the node is written,
and when it comes again, the node is written from it. If it never comes again (it was set aside), the promise is void:
the node's rev is moved, so that a writer that lost its way can't keep it later, and nobody was told of it.
"""

from __future__ import annotations

from typing import Iterable, List, Optional, Tuple

from .. import layout
from ..core.model import Blob
from ..core.requests import SetData
from ..layout import Head, Reserved
from ..messages import Entry, Message
from ..ports import Ports, Put
from .cache import Cache
from .loading import Write


def reservation(cache: Cache, after: Head, entry: Entry, writes: List[Write]) -> Optional[Tuple[Put, Put]]:
    """The commit of one request in two: the head with the promise, and the node. None where it is not of that kind."""
    head_put, *others = writes
    request = entry.call.request
    if not isinstance(request, SetData) or len(others) != 1:
        return None
    if isinstance(request.data, Blob):
        return None
    node_put = others[0]
    assert isinstance(head_put, Put) and isinstance(node_put, Put)
    rev, family_rev = cache.revs[request.path]
    node = layout.node_of(node_put.item)
    if isinstance(node.data, Blob):
        return None
    reserved = Reserved(request.path, rev, family_rev, node._replace(data=None), entry.inbox, entry.number)
    handled = cache.head.handled.later(entry._replace(last=False).handled)  # its own message is not done with this
    promised = after._replace(reserved=reserved, handled=handled)
    return head_put._replace(item=layout.head_item(promised)), node_put._replace(expect=rev)


async def complete_reservation(ports: Ports, ns: str, head: Head, messages: Iterable[Message]) -> Head:
    """Keeps the promise of a head, if it is not kept yet. The head afterwards."""
    reserved = head.reserved
    assert reserved is not None
    key = layout.node_keys(ns, reserved.path)[0]
    (item,) = await ports.store.get([key])
    if item is not None and layout.node_of(item).mzxid == head.zxid:
        return head
    if item is not None and item.rev == reserved.rev:
        request = _request(reserved, messages)
        if request is not None:
            node = reserved.node._replace(data=request.data)
            kept = Put(key, layout.node_item(node, head.zxid, reserved.family_rev), expect=reserved.rev)
            await ports.store.commit([kept])
            return head
        moved = layout.node_item(layout.node_of(item), head.zxid, reserved.family_rev)  # names what is there: see torn
        await ports.store.commit([Put(key, moved, expect=reserved.rev)])
    triggers = tuple(trigger for trigger in head.triggers if trigger.zxid != head.zxid)
    answers = tuple(a if a[0] != reserved.inbox else (reserved.inbox, reserved.number, []) for a in head.answers)
    void = head._replace(reserved=None, triggers=triggers, answers=answers)
    await ports.store.commit([Put(layout.head_key(ns), layout.head_item(void), expect=head.zxid)])
    return void


def _request(reserved: Reserved, messages: Iterable[Message]) -> Optional[SetData]:
    for message in messages:
        position = reserved.number - message.first
        if message.inbox == reserved.inbox and 0 <= position < len(message.requests):
            request = message.requests[position]
            return request if isinstance(request, SetData) else None
    return None
