"""Paths: which are valid, and their parts.

Rule: a path is valid here exactly when ZooKeeper's server accepts it (``org.apache.zookeeper.common.PathUtils``).

A path is absolute, "/" or "/name/name...". Whether a node exists there is not known here.
"""

from __future__ import annotations

import re
from typing import List, Optional

ROOT = "/"

# Java looks at UTF-16 units: what is above U+FFFF is a pair of surrogates there, and surrogates are forbidden.
_USUAL = re.compile(r"(?:/[A-Za-z0-9_:-][A-Za-z0-9_:.-]*)+")
"""Paths at which there is nothing to find fault with: most of them, told at once."""
_FORBIDDEN = re.compile("[\u0001-\u001f\u007f-\u009f\ud800-\uf8ff\ufff0-\uffff\U00010000-\U0010ffff]")


def reason(path: str) -> Optional[str]:
    """Why ``path`` is no valid path, or None if it is one (``PathUtils.validatePath``)."""
    if not path:
        return "Path length must be > 0"
    if path[0] != "/":
        return "Path must start with / character"
    if path == ROOT:
        return None
    if path[-1] == "/":
        return "Path must not end with / character"
    if "\0" in path:
        return "null character not allowed"
    return _reason_in_segments(path)


def _reason_in_segments(path: str) -> Optional[str]:
    segments = path[1:].split("/")
    if "" in segments:
        return "empty node name specified"
    if "." in segments or ".." in segments:
        return "relative paths not allowed"
    found = _FORBIDDEN.search(path)
    return None if found is None else "invalid character @%d" % found.start()


def is_valid(path: str) -> bool:
    """Whether ZooKeeper accepts ``path`` as the path of a node."""
    return _USUAL.fullmatch(path) is not None or reason(path) is None


def validate(path: str) -> None:
    """Raise ValueError, which says why, unless ``path`` is valid (``PathUtils.validatePath``)."""
    why = reason(path)
    if why is not None:
        raise ValueError('Invalid path string "%s" caused by %s' % (path, why))


def parent(path: str) -> str:
    """The path up to its last slash: "/a" for "/a/b", "/" for "/a".

    For "/" it is "/": ZooKeeper's server calls the parent of "/" "", which is another name of the root.
    The path need not be valid ("/a/" has the parent "/a", as on the server) but must have a slash, else ValueError.
    """
    return path[: path.rindex("/")] or ROOT


def name(path: str) -> str:
    """The last segment: "b" for "/a/b", "" for "/"."""
    return path[path.rindex("/") + 1 :]


def join(above: str, child: str) -> str:
    """The path of the child called ``child`` of the node at ``above``."""
    return ROOT + child if above == ROOT else above + "/" + child


def ancestors(path: str) -> List[str]:
    """Every proper ancestor of a valid path, nearest first: ["/a", "/"] for "/a/b", [] for "/"."""
    found = []
    while path != ROOT:
        path = parent(path)
        found.append(path)
    return found
