"""``fk-kazoo init URL``: a PostgreSQL database becomes a deployment."""

from __future__ import annotations

import argparse

from . import operation

COMMAND = "init"


def call(options: argparse.Namespace) -> int:
    """Makes it; the exit code."""
    return operation.run(COMMAND, options.url, lambda: _init(options))


def _init(options: argparse.Namespace) -> int:
    from fk_backend.errors import BadUrl
    from fk_backend.providers import postgres

    url = operation.parsed(options.url)
    if url.scheme != "postgresql":
        raise BadUrl("%s: only a postgresql:// deployment is made this way" % url)
    made = operation.waited_for(postgres.init(url.deployment, url.settings(), options.role))
    print("%s: %s" % (url, "ready" if made else "it was ready"))
    for role in options.role:
        print("may use it: %s" % role)
    return 0
