"""``fk-kazoo init URL``: a PostgreSQL database becomes a deployment; one of this machine is opened to a group."""

from __future__ import annotations

import argparse

from . import operation

COMMAND = "init"


def call(options: argparse.Namespace) -> int:
    """Makes it; the exit code."""
    return operation.run(COMMAND, options.url, lambda: _init(options))


def _init(options: argparse.Namespace) -> int:
    from fk_backend.errors import BadUrl, WrongUsage

    url = operation.parsed(options.url)
    if url.scheme != "postgresql" and options.namespace:
        raise WrongUsage("--namespace is of postgresql:// deployments")
    if url.scheme == "local" and options.group:
        return _share(url.deployment, options.group)
    if options.group:
        raise WrongUsage("--group is of local:// deployments")
    if url.scheme != "postgresql":
        raise BadUrl("%s: only a postgresql:// deployment is made this way, or a local:// one with --group" % url)
    from fk_backend.providers import postgres

    made = operation.waited_for(postgres.init(url.deployment, url.settings(), options.role, options.namespace or ""))
    print("%s: %s" % (url, "ready" if made else "it was ready"))
    for role in options.role:
        print("may use %s: %s" % ("the namespace %s" % options.namespace if options.namespace else "it", role))
    return 0


def _share(name: str, group: str) -> int:
    import os

    from fk_backend.providers.local import files

    shared = files.share(name, group)
    home = os.path.dirname(shared.directory)
    print("local://%s is open to the group %s: %s" % (name, group, shared.directory))
    found = os.stat(home)
    reached = found.st_mode & 0o001 or (found.st_mode & 0o010 and found.st_gid == os.stat(shared.directory).st_gid)
    if not reached:
        print("the group can't enter %s: chgrp %s and chmod g+x it, and the directories above" % (home, group))
    print("each of its users sets: export %s=%s" % (files.HOME_VARIABLE, home))
    return 0
