"""``fk-kazoo backup URL FILE``: everything that a deployment holds, in one file.

Rule upheld here: importing this module imports nothing that an app may want to patch before it is imported. A file that
has the name that was asked for is a whole backup.
"""

from __future__ import annotations

import argparse
import os

from fk_kazoo.files import atomic_file

from . import operation

COMMAND = "backup"


def call(options: argparse.Namespace) -> int:
    """Takes it; the exit code."""
    return operation.run(COMMAND, options.url, lambda: _backup(options))


def _backup(options: argparse.Namespace) -> int:
    from fk_backend.backup.archive import Archive
    from fk_backend.backup.take import Taken, take

    url = operation.parsed(options.url)
    if os.path.lexists(options.file):
        return operation.print_error(COMMAND, "%s is there already" % options.file, operation.REFUSED)
    progress = operation.ProgressReporter("read")

    async def work() -> "list[Taken]":
        deployment = await operation.administered(url, make=False)
        try:
            with atomic_file(options.file, over=False) as file:
                return await take(deployment, Archive(file), str(url), options.namespace, progress)
        finally:
            await deployment.close()

    taken = operation.waited_for(work())
    for each in taken:
        print("namespace %s: zxid 0x%x" % (each.ns, each.zxid))
    some = "namespace" if len(taken) == 1 else "namespaces"
    print("%s: %d %s, %d bytes" % (options.file, len(taken), some, os.path.getsize(options.file)))
    return 0
