"""What is about AWS: ``deploy``, ``status``, ``rollback``, ``package``, ``verify``, ``cost``, ``dev``."""

from __future__ import annotations

import math
from argparse import Namespace
from typing import Any, Callable

import click

from fk_kazoo.commands import cost, deploy, dev_aws, package, rollback, status, verify

from .formats import ParamType


def on_deployment(function: Callable[..., Any]) -> Callable[..., Any]:
    """Which deployment, and where."""
    for option in (
        click.option("--endpoint-url", help="Of an emulator; default: AWS_ENDPOINT_URL, or AWS itself."),
        click.option("--region", help="Default: as for every AWS tool (AWS_REGION, AWS_PROFILE)."),
        click.argument("name", metavar="NAME"),
    ):
        function = option(function)
    return function


class _Amount(ParamType):
    name = "number"

    def __init__(self, least: float) -> None:
        self._least = least

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """A finite number; ``1,000,000`` and ``1_000`` are good."""
        try:
            number = float(str(value).replace(",", "").replace("_", ""))
        except ValueError:
            number = math.nan
        if not self._least <= number < math.inf:
            self.fail("%r is no number that can be here" % value, param, ctx)
        return number


@click.command("deploy")
@on_deployment
@click.option("--namespace", multiple=True, metavar="NS", help="Makes a client policy for it; may be repeated.")
@click.option("--drop-namespace", multiple=True, metavar="NS", help="Removes its client policy, no data.")
@click.option("--parameter", multiple=True, metavar="NAME=VALUE", help="Of the template: see docs/aws.md.")
@click.option("--package", metavar="FILE", help="The functions' zip; default: as `fk-kazoo package` makes it.")
@click.option("--dry-run", is_flag=True, help="Shows what would change, and leaves no trace.")
@click.option("--yes", is_flag=True, help="Does not ask.")
def deploy_command(**options: Any) -> int:
    """Make or update a deployment on AWS.

    Shows what changes, asks, and waits until it is done. Data stay. Doing it twice changes nothing. NAME: 1 to 20
    lower-case letters, digits, inner hyphens.

    \b
    fk-kazoo deploy prod --region eu-central-1
    """
    return deploy.call(Namespace(**options))


@click.command("status")
@on_deployment
def status_command(**options: Any) -> int:
    """Show how a deployment on AWS is. Exit code 1 if something needs attention.

    \b
    fk-kazoo status prod
    """
    return status.call(Namespace(**options))


@click.command("rollback")
@on_deployment
@click.option("--to", metavar="RELEASE", help="Default: the one before the one that is live.")
@click.option("--list", "list", is_flag=True, help="Shows the releases, and leaves everything as it is.")
@click.option("--yes", is_flag=True, help="Does not ask.")
def rollback_command(**options: Any) -> int:
    """Make an earlier release of a deployment's functions live.

    Within seconds. Data stay; so do the template's parameters. fk-kazoo deploy makes the newest release live again.

    \b
    fk-kazoo rollback prod --list
    """
    return rollback.call(Namespace(**options))


@click.command("package")
@click.option("-o", "--output", default="fk-kazoo-functions.zip", metavar="FILE", show_default=True)
@click.option(
    "--platform",
    type=click.Choice(["lambda", "host"]),
    default="lambda",
    help="host: for this machine's Python, to run it here.",
)
def package_command(**options: Any) -> int:
    """Make the zip of a deployment's functions. The same version gives the same bytes.

    \b
    fk-kazoo package -o build/functions.zip
    """
    return package.call(Namespace(**options))


@click.command("verify")
@click.option("--region", help="Default: as for every AWS tool (AWS_REGION, AWS_PROFILE).")
@click.option("--emulator", is_flag=True, help="On an emulator of this machine: proves nothing of AWS.")
@click.option("--budget", type=_Amount(1e-9), metavar="USD", help="It ends before so much is spent; needed on AWS.")
@click.option(
    "--minutes",
    type=_Amount(1e-9),
    default=verify.MOST_MINUTES,
    metavar="N",
    help="Checks end two before that (default: %d); with fewer the idleness is shorter." % verify.MOST_MINUTES,
)
@click.option("--quick", is_flag=True, help="Waits seconds instead of minutes: to try the checks.")
@click.option("--only", multiple=True, metavar="CHECK", help="This check; several times for more.")
@click.option("--report", metavar="PATH", help="Writes PATH.json and PATH.md; default: fk-kazoo-verify-TIME.")
def verify_command(**options: Any) -> int:
    """Prove it on an AWS account, and leave nothing behind.

    Deploys under a random name, checks what only AWS can show, measures, destroys everything, looks at what is left,
    and writes a report. Exit code 0: every check held and nothing is left; 1: something did not, or is; 3: not
    everything was run.

    \b
    fk-kazoo verify --region eu-central-1 --budget 2
    """
    if options["region"] and options["emulator"]:
        raise click.UsageError("--region is AWS's, and --emulator is none: give one of them")
    return verify.call(Namespace(**{**options, "only": list(options["only"])}))


@click.command("cost")
@click.option("--reads", type=_Amount(0), required=True, metavar="N", help="Reads a day.")
@click.option("--writes", type=_Amount(0), required=True, metavar="N", help="Writes a day, one at a time.")
@click.option("--clients", type=int, default=1, metavar="N", help="Connected clients (default: 1).")
@click.option("--holders", type=int, metavar="N", help="Of these, with ephemerals such as locks (default: 0).")
@click.option("--watching", type=int, metavar="N", help="Of these, that watch something or pipeline (default: all).")
@click.option("--kb", type=float, default=1.0, help="Data of a node, in kB (default: 1; at most %d)." % cost.MAX_KB)
@click.option("--prices", type=click.Choice(["current", "paper"]), default="current", show_default=True)
def cost_command(**options: Any) -> int:
    """Estimate what a load costs a day on AWS (us-east-1), beside ZooKeeper on servers.

    \b
    fk-kazoo cost --reads 100,000 --writes 10_000
    """
    return cost.call(Namespace(**options))


def _port(ctx: click.Context, param: click.Parameter, value: int) -> int:
    if not 0 <= value <= 65535:
        raise click.BadParameter("a port is 0 (any free one) to 65535", ctx, param)
    return value


@click.group("dev")
def dev_command() -> None:
    """Run a deployment for development on this machine.

    \b
    fk-kazoo dev aws
    """


@dev_command.command("aws")
@click.option("--port", type=int, callback=_port, default=0, help="The emulator's, on 127.0.0.1; default: a free one.")
@click.option("--name", default="dev", help="The deployment's name; default: dev.")
@click.option("--package", help="The zip file to deploy and run; default: one for this machine is made.")
@click.option(
    "--permissions", is_flag=True, help="Enforce them: the functions have their roles, clients the deployment's policy."
)
@click.option("--logs", is_flag=True, help="Show what the functions print, too.")
def dev_aws_command(**options: Any) -> int:
    """AWS, emulated: a deployment and its functions, until Ctrl-C.

    \b
    fk-kazoo dev aws
    """
    return dev_aws.serve(Namespace(**options))
