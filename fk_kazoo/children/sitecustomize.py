"""Imported by every interpreter that is started below ``fk-kazoo run``, before anything of the app's.

Rule upheld here: apart from the swap, the interpreter is as it would be without us. This directory leaves ``sys.path``,
and a ``sitecustomize`` that is there besides takes this one's place.
"""

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

_HERE = os.path.dirname(os.path.abspath(__file__))


class _Refusing:
    """Where fk_kazoo is not installed, an app would reach for a ZooKeeper that is not meant."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        """ImportError for kazoo's client; nothing else is found here."""
        if fullname == "kazoo.client":
            raise ImportError("this was started below `fk-kazoo run`, but %s has no fk_kazoo" % sys.executable)


def _step_aside() -> None:
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != _HERE]
    spec = PathFinder.find_spec(__name__)
    if spec is not None and spec.loader is not None:
        module = module_from_spec(spec)
        sys.modules[__name__] = module
        spec.loader.exec_module(module)


try:
    from fk_kazoo.run import swap
except ImportError:
    sys.meta_path.insert(0, _Refusing())
else:
    swap()
_step_aside()
