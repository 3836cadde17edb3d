"""Providers: one package for each place a deployment can live, all of one shape.

Each has ``identity(name)``, equal for what is one deployment; ``check(name, options)``, which raises a
DeploymentError that says what to do if the deployment can't be used; ``connect(name, options)``, a coroutine for a
`ports.Gateway`; ``administer(name, options, make)``, one for a `ports.AdminPorts` of what is there, or may be
made; and ``rest()``, before a fork, and ``abandon(forked)``, for the forked child, and where somebody else closed the
files of the process. ``visit(name, options)``, where it is there, is ``connect`` for an event loop that ends before its
process does. ``FIRST_ANSWER_S``, where it is there: how long an answer may take where nobody has asked for
long, so a session to open and to close.

Imports: functions, ports, layout. Never: kazoo, fk_kazoo, fk_backend.session, boto3, aiobotocore, asyncpg, sqlite3.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from ..errors import BadUrl
from . import descriptors

SCHEMES = {"memory": "memory", "local": "local", "aws": "aws", "postgresql": "postgres"}


def provider(scheme: str) -> Any:
    """The provider package of a URL scheme, imported when first asked for. BadUrl if there is none."""
    if scheme not in SCHEMES:
        raise BadUrl("no provider for %s://; there are: %s" % (scheme, ", ".join(s + "://" for s in SCHEMES)))
    return importlib.import_module("%s.%s" % (__name__, SCHEMES[scheme]))


def suspend_all() -> None:
    """Before a fork: closes what must not cross it. It is opened again when it is needed. In the loop's thread."""
    for package in SCHEMES.values():
        module = sys.modules.get("%s.%s" % (__name__, package))
        if module is not None:
            module.rest()


def discard_all(forked: bool) -> None:
    """Lets go of everything: of what a forked child inherited, or what is left where somebody else closed files.

    What the parent uses is not touched, and no descriptor is closed that is somebody else's by now.
    """
    descriptors.missed.clear()
    for package in SCHEMES.values():
        module = sys.modules.get("%s.%s" % (__name__, package))
        if module is not None:
            module.abandon(forked)
