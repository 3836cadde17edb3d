"""Each call of a program as a call of kazoo's client, asynchronous: what comes back is waited for by who runs it.

A call is a JSON list, its name first; paths are below the program's own root, data is text of Latin-1.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List

from kazoo.protocol.paths import _prefix_root
from kazoo.security import ACL, Id, make_digest_acl_credential

from fk_kazoo.requests import AddWatch, AddWatchMode, CreateContainer, CreateTTL, RemoveWatches

ALL, READ, CREATE, DELETE, ADMIN = 31, 1, 4, 8, 16
CLEANER = "cleaner:up"
CREDENTIALS = ("ann:1", "ben:2", "no-colon")


def _digest(credential: str, perms: int = ALL) -> List[Any]:
    name, _, password = credential.partition(":")
    return [perms, "digest", make_digest_acl_credential(name, password)]


_ANYONE = ["world", "anyone"]
ACLS: Dict[str, List[List[Any]]] = {
    "open": [[ALL, *_ANYONE]],
    "read": [[READ, *_ANYONE]],
    "no admin": [[ALL & ~ADMIN, *_ANYONE], _digest("ann:1")],
    "leaf": [[READ | ADMIN, *_ANYONE], _digest("ben:2")],
    "auth and read": [[ALL, "auth", ""], [READ, *_ANYONE]],
    "twice": [[ALL, *_ANYONE], [ALL, *_ANYONE]],
    "ann": [_digest("ann:1")],
    "ben": [_digest("ben:2"), [CREATE, *_ANYONE]],
    "auth": [[ALL, "auth", ""]],
    "local": [[ALL, "ip", "10.0.0.1"], [CREATE | DELETE, *_ANYONE]],
    "here": [[READ, "ip", "127.0.0.0/8"], [ALL & ~READ, *_ANYONE]],
    "hidden": [[ALL & ~READ, *_ANYONE], _digest("ann:1", READ)],
    "nothing": [],
    "someone": [[ALL, "world", "someone"]],
    "sasl": [[ALL, "sasl", "x"]],
}
SECRETS = ("ann", "ann", "ben", "auth", "hidden", "hidden", "local", "here")
"""Those with which not everybody may read."""


def acl(name: str) -> List[ACL]:
    """The ACL of that name; where it is a good one, it lets the one in who cleans up."""
    entries = ACLS[name]
    if name not in ("nothing", "someone", "sasl"):
        entries = [*entries, _digest(CLEANER)]
    return [ACL(perms, Id(scheme, id_)) for perms, scheme, id_ in entries]


Watchers = Dict[str, Callable[[Any], None]]


def start(client: Any, call: List[Any], watchers: Watchers) -> Any:
    """Begins a call; an IAsyncResult. What kazoo refuses on its own is raised at once."""
    name, *rest = call
    return _STARTS[name](client, watchers, *rest)


def _create(c: Any, _: Watchers, path: str, data: str, acl_: str, flags: int, stat: bool) -> Any:
    options = {"ephemeral": bool(flags & 1), "sequence": bool(flags & 2), "include_data": stat}
    return c.create_async(path, data.encode("latin-1"), acl(acl_), **options)


def _raw(client: Any, request: Any) -> Any:
    result = client.handler.async_result()
    client._call(request, result)
    return result


def _container(c: Any, _: Watchers, path: str, data: str) -> Any:
    return _raw(c, CreateContainer(_prefix_root(c.chroot, path), data.encode("latin-1"), acl("open"), 4))


def _ttl(c: Any, _: Watchers, path: str, data: str, flags: int, ttl_ms: int) -> Any:
    full = _prefix_root(c.chroot, path, trailing=flags == 6)
    return _raw(c, CreateTTL(full, data.encode("latin-1"), acl("open"), flags, ttl_ms))


def _add_watch(c: Any, watchers: Watchers, path: str, mode: str) -> Any:
    if hasattr(c, "add_watch_async"):
        return c.add_watch_async(path, watchers[mode], mode)
    return _raw(c, AddWatch(_prefix_root(c.chroot, path), None, mode))


def _remove_watches(c: Any, _: Watchers, path: str) -> Any:
    if hasattr(c, "remove_all_watches_async"):
        return c.remove_all_watches_async(path)
    result = _raw(c, RemoveWatches(_prefix_root(c.chroot, path)))

    def forget(done: Any) -> None:
        if done.successful():
            for table in (c._data_watchers, c._child_watchers):
                table.pop(_prefix_root(c.chroot, path), None)

    result.rawlink(forget)
    return result


def transaction_of(c: Any, calls: List[List[Any]]) -> Any:
    """A transaction of these calls, not committed."""
    transaction = c.transaction()
    for name, path, *rest in calls:
        if name == "create":
            data, acl_, flags = rest
            transaction.create(path, data.encode("latin-1"), acl(acl_), bool(flags & 1), bool(flags & 2))
        elif name == "set":
            transaction.set_data(path, rest[0].encode("latin-1"), rest[1])
        else:
            {"delete": transaction.delete, "check": transaction.check}[name](path, rest[0])
    return transaction


_STARTS: Dict[str, Callable[..., Any]] = {
    "create": _create,
    "container": _container,
    "ttl": _ttl,
    "delete": lambda c, _, path, version: c.delete_async(path, version),
    "set": lambda c, _, path, data, version: c.set_async(path, data.encode("latin-1"), version),
    "get": lambda c, w, path, watch: c.get_async(path, w.get(watch)),
    "exists": lambda c, w, path, watch: c.exists_async(path, w.get(watch)),
    "children": lambda c, w, path, watch, stat: c.get_children_async(path, w.get(watch), include_data=stat),
    "get_acls": lambda c, _, path: c.get_acls_async(path),
    "set_acls": lambda c, _, path, name, version: c.set_acls_async(path, acl(name), version),
    "sync": lambda c, _, path: c.sync_async(path),
    "multi": lambda c, _, calls: transaction_of(c, calls).commit_async(),
    "auth": lambda c, _, credential: c.add_auth_async("digest", credential),
    "add_watch": _add_watch,
    "remove_watches": _remove_watches,
}
PERSISTENT, RECURSIVE = AddWatchMode.PERSISTENT, AddWatchMode.PERSISTENT_RECURSIVE
READS = ("get", "exists", "children", "get_acls")
WRITES = ("create", "container", "ttl", "delete", "set", "set_acls", "multi", "fence")


def in_any_order(call: List[Any], value: Any) -> Any:
    """The value without the orders that mean nothing on a server either: names of children, what "auth" became."""
    if call[0] == "children" and isinstance(value, tuple):
        return sorted(value[0]), value[1]
    if call[0] == "children" and isinstance(value, list):
        return sorted(value)
    if call[0] == "get_acls" and isinstance(value, tuple):
        return sorted(value[0], key=repr), value[1]
    return value
