"""Mistakes that named tests catch: each is a change of the source text of one function, or another value.

The text that is changed has to be there exactly once: a bug that does not fit the code any more is an error, not a bug
that nobody plants.
"""

from __future__ import annotations
import __future__

import inspect
import sys
import textwrap
from typing import Any, List, NamedTuple, Tuple

from .bug import Bug, Patch, swap


class Named(NamedTuple):
    """A bug, and the tests that catch it: pytest's node ids, without parameters for all of them."""

    bug: Bug
    tests: Tuple[str, ...]


class Family:
    """Bugs of one part of the product."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.bugs: List[Named] = []
        self.misfits: List[str] = []
        """What can't be planted in the code as it is: each says why."""

    def edit(
        self,
        says: str,
        place: Any,
        attribute: str,
        old: str,
        new: str,
        *tests: str,
        also: Tuple[Any, ...] = (),
        beside: Tuple[Patch, ...] = (),
    ) -> None:
        """Registers a bug: ``old`` is ``new`` in the source of what a module or class has under that name.

        ``also``: modules that have imported it by its name, or (dict, key) where it is.
        ``beside``: what else has to be another one for as long.
        """
        try:
            made = changed(place, attribute, old, new)
        except (KeyError, ValueError, SyntaxError) as error:
            self.misfits.append("%s: %r" % (says, error))
            return
        others = [entry if isinstance(entry, tuple) else (entry, attribute) for entry in also]
        for where, name in others:
            if not isinstance(where, dict) and not hasattr(where, name):
                self.misfits.append("%s: %r has no %s" % (says, where, name))
                return
        self._add(says, tests, (place, attribute, made), *((where, name, made) for where, name in others), *beside)

    def swap(self, says: str, patches: Tuple[Patch, ...], *tests: str) -> None:
        """Registers a bug that is a value in place of another one."""
        self._add(says, tests, *patches)

    def _add(self, says: str, tests: Tuple[str, ...], *patches: Patch) -> None:
        assert tests, says
        self.bugs.append(Named(Bug(says, says, patches), tests))


def changed(place: Any, attribute: str, old: str, new: str) -> Any:
    """What a module or class has under a name, with another source text. It sees the same globals."""
    original = vars(place)[attribute]
    function = (
        original.fget if isinstance(original, property) else inspect.unwrap(getattr(original, "__func__", original))
    )
    source = textwrap.dedent(inspect.getsource(function))
    if source.count(old) != 1:
        raise ValueError("%s has %r %d times" % (attribute, old, source.count(old)))
    # A name of the enclosing function is what `super()` looks for.
    text = "def make(__class__):\n%s\n    return %s\n" % (textwrap.indent(source.replace(old, new), "    "), attribute)
    made: dict[str, Any] = {}
    flags = __future__.annotations.compiler_flag
    code = compile(text, "<planted: %s>" % attribute, "exec", flags=flags, dont_inherit=True)
    exec(code, vars(sys.modules[function.__module__]), made)
    return made["make"](place)


def edit(names: List[str], name: str, says: str, place: Any, attribute: str, old: str, new: str, *also: Any) -> None:
    """Registers a bug of the simulation, among ``names``: ``old`` is ``new`` in a function's source, ``also`` there."""
    made = changed(place, attribute, old, new)
    swap(name, says, (place, attribute, made), *((where, attribute, made) for where in also))
    names.append(name)
