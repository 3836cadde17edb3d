def normpath(path: str, trailing: bool = False) -> str:
    """The path without doubled and final slashes (``trailing``: a final one stays). ValueError for ``.`` and ``..``."""

def join(a: str, *p: str) -> str:
    """The parts with slashes between them; what begins with one begins anew."""

def isabs(s: str) -> bool: ...
def basename(p: str) -> str:
    """What comes after the last slash."""

def _prefix_root(root: str | None, path: str, trailing: bool = False) -> str: ...
def _norm_root(root: str) -> str: ...
