"""``fk-kazoo package``: makes the zip that the functions on AWS are deployed from."""

from __future__ import annotations

import argparse

from . import aws_console as console

COMMAND = "package"


def call(options: argparse.Namespace) -> int:
    """Makes it; the exit code."""
    return console.run(COMMAND, lambda: _package(options))


def _package(options: argparse.Namespace) -> int:
    from pathlib import Path

    from fk_backend.providers.aws import package

    if not Path(options.output).absolute().parent.is_dir():
        why = "%s: there is no such directory" % Path(options.output).parent
        return console.print_error(COMMAND, why, console.NOT_FOUND)
    try:
        built = package.build(Path(options.output), options.platform)
    except OSError as error:
        why = "%s: %s" % (error.filename or options.output, error.strerror)
        return console.print_error(COMMAND, why, console.code_of(error))
    print("%s  %s" % (built.sha256, built.path))
    print("%.1f MB, %.1f MB unpacked" % (built.size / 1e6, built.unpacked / 1e6))
    if not built.compiled:
        print("not compiled: there is no python%d.%d here, so new environments take longer" % package.LAMBDA_PYTHON)
    return 0
