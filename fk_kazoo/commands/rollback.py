"""``fk-kazoo rollback NAME``: makes an earlier release of a deployment's functions live."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from . import aws_console as console

if TYPE_CHECKING:
    from fk_backend.providers.aws.releases import Release

COMMAND = "rollback"


def call(options: argparse.Namespace) -> int:
    """Does it; the exit code."""
    if not (options.list or options.yes or console.can_ask()):
        return console.print_error(COMMAND, console.NOBODY_TO_ASK, console.USAGE)
    return console.run(COMMAND, lambda: _list(options) if options.list else _rollback(options), options.name)


def _list(options: argparse.Namespace) -> int:
    from fk_backend.providers.aws import names
    from fk_backend.providers.aws.cloud import Cloud
    from fk_backend.providers.aws.releases import releases

    cloud = Cloud(None, options.region, options.endpoint_url)
    for release in releases(cloud, names.checked(options.name)):
        print(_words(release) + (", live" if release.is_live else ""))
    return 0


def _rollback(options: argparse.Namespace) -> int:
    from fk_backend.providers.aws.releases import rollback

    done = rollback(
        options.name,
        to=options.to,
        region=options.region,
        endpoint_url=options.endpoint_url,
        confirm=lambda now, then: _confirmed(options, now, then),
    )
    if done is None:
        return console.print_error(COMMAND, "nothing was changed")
    print("live: %s" % _words(done))
    return 0


def _confirmed(options: argparse.Namespace, now: "Release", then: "Release") -> bool:
    print("live now: %s\nthen:     %s" % (_words(now), _words(then)))
    return bool(options.yes) or console.ask("Make it live in %s? [y/N]" % options.name) in ("y", "Y", "yes")


def _words(release: "Release") -> str:
    return "release %s of %s, format %d" % (release.name, release.made.replace("T", " "), release.format)
