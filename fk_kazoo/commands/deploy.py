"""``fk-kazoo deploy NAME``: makes a deployment on AWS, or brings it up to date."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Callable, Dict, List

from . import aws_console as console

if TYPE_CHECKING:
    from pathlib import Path

    from fk_backend.providers.aws.deploy import Outcome
    from fk_backend.providers.aws.stacks import Change

COMMAND = "deploy"


def call(options: argparse.Namespace) -> int:
    """Deploys; the exit code."""
    if not (options.yes or options.dry_run or console.can_ask()):
        return console.print_error(COMMAND, console.NOBODY_TO_ASK + ", or --dry-run", console.USAGE)
    return console.run(COMMAND, lambda: _deploy(options), options.name)


def _deploy(options: argparse.Namespace) -> int:
    from fk_backend.providers.aws import deploy

    progress = console.ProgressReporter()
    try:
        given = console.package_file(options.package) if options.package else None
        parameters = _parameters(options.parameter)
        zipped = given or _packed(progress)
        outcome = deploy.deploy(
            options.name,
            package=zipped,
            region=options.region,
            endpoint_url=options.endpoint_url,
            namespaces=options.namespace,
            without_namespaces=options.drop_namespace,
            parameters=parameters,
            dry_run=options.dry_run,
            confirm=lambda changes: _confirmed(options, progress, changes),
            progress=progress,
        )
    finally:
        progress.pause()
    if not outcome.changes:
        print("no changes: %s" % outcome.url)
        _how_to_use(outcome)
    elif options.dry_run:
        console.show_changes(outcome.changes)
        print("a dry run: nothing was changed")
    elif outcome.done:
        print("ready: %s" % outcome.url)
        _how_to_use(outcome)
    else:
        return console.print_error(COMMAND, "nothing was changed")
    return 0


def _how_to_use(outcome: "Outcome") -> None:
    """What is left to do before an app can use it."""
    print("\nClients need one policy: attach it to their role (or user: attach-user-policy, --user-name)")
    for namespace, arn in sorted(outcome.policies.items()):
        print("  # for clients of %s" % ("the namespace %s alone" % namespace if namespace else "every namespace"))
        print("  aws iam attach-role-policy --role-name ROLE --policy-arn %s" % arn)
    print("and where the deployment is:\n  export FK_KAZOO_URL='%s'" % outcome.url)


def _confirmed(options: argparse.Namespace, progress: console.ProgressReporter, changes: "List[Change]") -> bool:
    progress.pause()
    console.show_changes(changes)
    return bool(options.yes) or console.ask("Change this in deployment %s? [y/N]" % options.name) in ("y", "Y", "yes")


def _packed(progress: Callable[[str], None]) -> Path:
    from fk_backend.providers.aws import package

    progress("packing the functions")
    built = package.build()
    if not built.compiled:
        progress("no python%d.%d here to compile them with: new environments take longer" % package.LAMBDA_PYTHON)
    return built.path


def _parameters(given: List[str]) -> Dict[str, str]:
    from fk_backend.errors import WrongUsage
    from fk_backend.providers.aws.template import PARAMETERS

    parameters: Dict[str, str] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or name not in PARAMETERS:
            raise WrongUsage("--parameter is NAME=VALUE; the names are %s" % ", ".join(PARAMETERS))
        parameters[name] = value
    return parameters
