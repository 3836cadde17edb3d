"""``fk-kazoo restore FILE URL``: a backup becomes a new deployment."""

from __future__ import annotations

import argparse

from . import operation

COMMAND = "restore"


def call(options: argparse.Namespace) -> int:
    """Restores; the exit code."""
    return operation.run(COMMAND, options.url, lambda: _restore(options))


def _restore(options: argparse.Namespace) -> int:
    from fk_backend.backup.archive import NoBackup
    from fk_backend.backup.restore import Restored, examine, restore

    url = operation.parsed(options.url)
    progress = operation.ProgressReporter("written")

    async def work() -> "list[Restored]":
        with open(options.file, "rb") as file:
            if not file.seekable():
                raise NoBackup("it is read twice, which this can't be: write it to a file first")
            examine(file)  # before a deployment is made for it
            deployment = await operation.administered(url, make=True)
            try:
                return await restore(deployment, file, progress)
            finally:
                await deployment.close()

    try:
        restored = operation.waited_for(work())
    except NoBackup as error:
        return operation.print_error(COMMAND, "%s: %s" % (options.file, error), operation.code_of(error))
    for each in restored:
        print(
            "namespace %s: it was at zxid 0x%x and goes on after 0x%x; %d nodes of sessions were left out"
            % (each.ns, each.was, each.zxid, each.ephemerals)
        )
    print("restored: %s" % url)
    return 0
