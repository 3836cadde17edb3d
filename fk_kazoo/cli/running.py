"""``run``, as the help lists it. `fk_kazoo.__main__` does it, before anything is imported that an app may patch."""

from __future__ import annotations

import click


@click.command("run", context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def run_command(words: object) -> int:
    """Run an unmodified app with its kazoo client replaced.

    \b
    fk-kazoo run --url local://app app.py --its --arguments
    fk-kazoo run -m package.module
    """
    raise click.UsageError("fk-kazoo run stands first: fk-kazoo run APP")
