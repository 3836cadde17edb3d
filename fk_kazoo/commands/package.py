"""``fk-kazoo package``: makes the zip that the functions on AWS are deployed from."""

from __future__ import annotations

import argparse

from . import aws_console as console

COMMAND = "package"


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``fk-kazoo package``."""
    parser.description = "Makes the functions' zip. The same version gives the same bytes."
    parser.add_argument("-o", "--output", default="fk-kazoo-functions.zip", metavar="FILE", help="default: %(default)s")
    parser.add_argument(
        "--platform",
        choices=["lambda", "host"],
        default="lambda",
        help="host: for this machine's Python, to run it here",
    )


def call(options: argparse.Namespace) -> int:
    """Makes it; the exit code."""
    return console.run(COMMAND, lambda: _package(options))


def _package(options: argparse.Namespace) -> int:
    from pathlib import Path

    from fk_backend.providers.aws import package

    try:
        built = package.build(Path(options.output), options.platform)
    except OSError as error:
        return console.complain(COMMAND, "%s: %s" % (error.filename or options.output, error.strerror))
    print("%s  %s" % (built.sha256, built.path))
    print("%.1f MB, %.1f MB unpacked" % (built.size / 1e6, built.unpacked / 1e6))
    if not built.compiled:
        print("not compiled: there is no python%d.%d here, so new environments take longer" % package.LAMBDA_PYTHON)
    return 0
