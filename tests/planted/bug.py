"""A planted bug: a name, what is wrong in one line, and patches of the product that last as long as a `with`."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Iterator, List, NamedTuple, Tuple
from unittest import mock

Patch = Tuple[Any, str, Any]
"""Where, the name there, and what takes its place. A place is a module, a class or a dict."""


class Bug(NamedTuple):
    """One mistake."""

    name: str
    says: str
    patches: Tuple[Patch, ...]

    @contextlib.contextmanager
    def planted(self) -> Iterator[None]:
        """The product has the bug."""
        with contextlib.ExitStack() as stack:
            for place, name, replacement in self.patches:
                if isinstance(place, dict):
                    stack.enter_context(mock.patch.dict(place, {name: replacement}))
                else:
                    stack.enter_context(mock.patch.object(place, name, replacement))
            yield


BUGS: List[Bug] = []


def plant(says: str, *places: Tuple[Any, str]) -> Callable[[Any], Any]:
    """Registers a bug: what it decorates takes the places. Its name is the bug's."""

    def register(replacement: Any) -> Any:
        name = replacement.__name__.strip("_").replace("_", " ")
        BUGS.append(Bug(name, says, tuple((place, attribute, replacement) for place, attribute in places)))
        return replacement

    return register


def swap(name: str, says: str, *patches: Patch) -> None:
    """Registers a bug that is a value in place of another one."""
    BUGS.append(Bug(name, says, patches))
