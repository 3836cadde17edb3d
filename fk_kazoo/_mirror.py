"""Rule upheld here: a module of kazoo has two names and is one module.

``fk_kazoo.retry`` is the very module object ``kazoo.retry``, not a copy of its names. So ``isinstance`` and ``except``
hold across both names, underscored names are there, and what a test patches in one is patched in the other. Only the
packages are modules of their own: were they shared too, Python would load their submodules a second time.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any, Callable

_OURS = "fk_kazoo"
_THEIRS = "kazoo"


def original(name: str) -> str:
    """The name in kazoo of a module of ours: ``fk_kazoo.recipe.lock`` is ``kazoo.recipe.lock``."""
    return _THEIRS + name[len(_OURS) :]


def mirror(name: str) -> None:
    """Called by the module ``name`` while it is imported: puts kazoo's module of that name in its place."""
    sys.modules[name] = importlib.import_module(original(name))


def attributes(package: str) -> Callable[[str], Any]:
    """A ``__getattr__`` for ``package``: submodules that kazoo has loaded are attributes, as they are in kazoo.

    ``import kazoo.client`` makes ``kazoo.exceptions`` and ``kazoo.recipe.lock`` usable without importing them;
    apps rely on it. Nothing that kazoo has not loaded is imported by this.
    """

    def attribute(name: str) -> Any:
        if not name.startswith("_") and f"{original(package)}.{name}" in sys.modules:
            return importlib.import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return attribute
