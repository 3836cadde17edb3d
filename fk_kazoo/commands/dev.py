"""``fk-kazoo dev``: its arguments.

Rule upheld here: importing this module imports nothing that an app may want to patch before it is imported.
"""

from __future__ import annotations

import argparse


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``fk-kazoo dev``."""
    parser.description = "Runs a deployment on this machine, for trying and testing. Ctrl-C ends it."
    parser.add_argument("cloud", choices=["aws"], help="what is emulated")
    parser.add_argument("--port", type=_port, default=0, help="the emulator's port on 127.0.0.1; default: a free one")
    parser.add_argument("--name", default="dev", help="the deployment's name; default: dev")
    parser.add_argument("--package", help="the zip file to deploy and run; default: one for this machine is made")
    enforced = "enforce permissions: the functions have their roles, clients the deployment's policy"
    parser.add_argument("--permissions", action="store_true", help=enforced)
    parser.add_argument("--logs", action="store_true", help="show what the functions print, too")


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError("a port is 0 (any free one) to 65535")
    return number


def call(options: argparse.Namespace) -> int:
    """Runs until SIGINT or SIGTERM; the exit code."""
    from . import dev_aws

    return dev_aws.serve(options)
