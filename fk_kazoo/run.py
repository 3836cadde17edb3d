"""Runs an unmodified app with its kazoo client swapped: ``fk-kazoo run app.py`` is ``python app.py``, elsewhere.

Rule upheld here: apart from ``kazoo.client.KazooClient`` the app finds what it would find without us. Neither kazoo nor
anything that gevent or eventlet patch is imported before the app imports it; ``sys.argv``, ``sys.path[0]`` and
``__main__`` are the app's own; its exit code, its signals and its tracebacks pass through.

What the swap reaches: this process, what it forks, and every interpreter that it starts anew (``multiprocessing`` with
``spawn`` or ``forkserver``, ``subprocess``), which finds it on its PYTHONPATH (see `children`). Who starts one with
another environment, or one that heeds none (``-I``, ``-E``, ``-S``), has to start it through ``fk-kazoo run`` itself.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import ModuleType, TracebackType
from typing import Any, Callable, List, Optional, Sequence, Tuple

_THEIRS = "kazoo.client"
_OURS = "fk_kazoo.client"
HOSTS_VARIABLE = "FK_KAZOO_HOSTS"
"""ZooKeeper hosts, ``host:port,host:port``, for which the deployment is known to stand; ``*``: whichever."""
_swapping = False
_substitution_noted = False


class _Loader:
    """Loads kazoo's client module as ``inner`` does, and has ours imported once it is executed."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def create_module(self, spec: ModuleSpec) -> Optional[ModuleType]:
        created: Optional[ModuleType] = self._inner.create_module(spec)
        return created

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._inner
        if module.__spec__ is not None:
            module.__spec__.loader = self._inner
        self._inner.exec_module(module)
        _import_ours()


class _Finder:
    """Finds kazoo's client module as everybody else does, and has it loaded by `_Loader`.

    Neither this class nor the loader derives from ``importlib.abc``, which would import half the standard library.
    """

    def find_spec(
        self, fullname: str, path: Optional[Sequence[str]], target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        if fullname != _THEIRS:
            return None
        for finder in sys.meta_path:
            if finder is not self and hasattr(finder, "find_spec"):
                spec = finder.find_spec(fullname, path, target)
                if spec is not None:
                    loader: Any = _Loader(spec.loader)
                    spec.loader = loader
                    return spec
        return None


def _import_ours() -> None:
    """kazoo's client was executed: whoever imported it gets ours. Nothing to do if ours is importing it."""
    __import__(_OURS)


def executed() -> None:
    """Our client was executed. It says so itself, because others may have loaded it, as pytest does."""
    if _swapping:
        _put_in_place()


def _put_in_place() -> None:
    """kazoo's module offers our client from now on."""
    vars(sys.modules[_THEIRS])["KazooClient"] = vars(sys.modules[_OURS])["KazooClient"]


def note_substitution(hosts: Sequence[Tuple[str, int]], deployment: object) -> None:
    """Says once that a deployment stands for ZooKeeper hosts that the app names, unless they are known to be meant."""
    global _substitution_noted
    known = {one.strip() for one in os.environ.get(HOSTS_VARIABLE, "").split(",")}
    others = [name for name in ("%s:%d" % address for address in hosts) if name not in known]
    if not _swapping or _substitution_noted or not others or "*" in known:
        return
    _substitution_noted = True
    import logging  # kazoo has imported it by now

    logging.getLogger("fk_kazoo").warning(
        "%s stands for the ZooKeeper %s that this program names. If that is meant, set %s=%s",
        deployment,
        ",".join(others),
        HOSTS_VARIABLE,
        ",".join(others),
    )


def swap() -> None:
    """From now on ``kazoo.client.KazooClient`` is ours, as soon as somebody imports it. Calling it again is fine.

    For apps that can't be started by `run_script` or `run_module`: call it before kazoo is imported.
    """
    global _swapping
    _swapping = True
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    if _THEIRS in sys.modules:
        _import_ours()
        _put_in_place()


def follow() -> None:
    """From now on interpreters that this process starts make the swap too, and those that they start."""
    if sys.flags.ignore_environment or sys.flags.no_site:
        print(
            "fk-kazoo run: python was started with -I, -E or -S: interpreters that the app starts, as multiprocessing "
            "does, use kazoo's own client",
            file=sys.stderr,
        )
        return
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "children")
    before = os.environ.get("PYTHONPATH", "")
    if here not in before.split(os.pathsep):
        os.environ["PYTHONPATH"] = here + os.pathsep + before if before else here


def run_script(path: str, arguments: Sequence[str]) -> int:
    """``python path arguments…`` with the swap made. ``path``: a file, or a directory or zip file with ``__main__``."""
    swap()
    follow()
    sys.argv[:] = [path, *arguments]
    if os.path.isdir(path) or (not path.endswith((".py", ".pyw")) and _is_zip(path)):
        _set_path(os.path.abspath(path))
        return _guarded(lambda: _as_main("__main__", alter_argv=False))
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        print(f"fk-kazoo: can't open file {path!r}: {error.strerror}", file=sys.stderr)
        return 2
    _set_path(os.path.dirname(os.path.realpath(path)))
    main = _fresh_main()
    main.__file__ = os.path.abspath(path)
    main.__loader__ = SourceFileLoader("__main__", main.__file__)
    vars(main)["__cached__"] = None
    return _guarded(lambda: exec(compile(source, main.__file__ or path, "exec", dont_inherit=True), vars(main)))


def run_module(name: str, arguments: Sequence[str]) -> int:
    """``python -m name arguments…`` with the swap made."""
    swap()
    follow()
    sys.argv[:] = [name, *arguments]
    _set_path(os.getcwd())
    return _guarded(lambda: _as_main(name, alter_argv=True))


def on_path(name: str) -> str:
    """``name``, or what the shell would run by that name if there is no such file: an installed console script."""
    if not os.path.exists(name) and not os.path.dirname(name):
        for directory in os.get_exec_path():
            found = os.path.join(directory, name)
            if os.path.isfile(found) and os.access(found, os.X_OK):
                return found
    return name


def _is_zip(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(4) == b"PK\x03\x04"
    except OSError:
        return False


def _set_path(first: str) -> None:
    """``sys.path[0]`` as the interpreter would have it; left alone where it was told to leave it alone."""
    if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
        sys.path[0] = first


def _fresh_main() -> ModuleType:
    main = ModuleType("__main__")
    vars(main)["__builtins__"] = sys.modules["builtins"]
    sys.modules["__main__"] = main
    return main


def _as_main(name: str, *, alter_argv: bool) -> None:
    """What the interpreter itself does for ``-m``, in a ``__main__`` that has nothing of ours in it."""
    import runpy

    _fresh_main()
    vars(runpy)["_run_module_as_main"](name, alter_argv)


def _guarded(call: Callable[[], None]) -> int:
    """Runs the app; an exception that it does not catch is shown as the interpreter shows it, without our frames."""
    try:
        call()
    except Exception as error:
        error.__traceback__ = _of_the_app(error.__traceback__)
        sys.excepthook(type(error), error, error.__traceback__)
        return 1
    return 0


def _of_the_app(traceback: Optional[TracebackType]) -> Optional[TracebackType]:
    while traceback is not None and traceback.tb_frame.f_code.co_filename == __file__:
        traceback = traceback.tb_next
    return traceback


def split(arguments: Sequence[str]) -> Tuple[List[str], List[str]]:
    """Our own options, and the app with everything after it: nothing behind the app's name is ours."""
    position = 0
    while position < len(arguments) and arguments[position].startswith("-") and arguments[position][:2] != "-m":
        if arguments[position] == "--":
            return list(arguments[:position]), list(arguments[position + 1 :])
        position += 2 if arguments[position] == "--url" else 1
    return list(arguments[:position]), list(arguments[position:])
