"""``fk-kazoo status NAME``: how a deployment on AWS is."""

from __future__ import annotations

import argparse

from . import aws_console as console

COMMAND = "status"


def call(options: argparse.Namespace) -> int:
    """Shows it; the exit code."""
    return console.run(COMMAND, lambda: _status(options), options.name)


def _status(options: argparse.Namespace) -> int:
    from rich.table import Table
    from rich.text import Text

    from fk_backend.providers.aws.status import status

    found = status(options.name, region=options.region, endpoint_url=options.endpoint_url)
    table = Table(box=None, pad_edge=False, show_header=False)
    last = ""
    for row in found.rows:
        section = "" if row.section == last else row.section
        last = row.section
        mark = Text("ok", style="green") if row.good else Text("!!", style="bold red")
        table.add_row(Text(section, style="bold"), mark, Text(row.what), Text(row.value))
    console.output().print(table)
    print("url %s" % found.url)
    return 0 if found.good else console.FAILED
