"""``fk-kazoo dev aws``: a deployment on AWS without AWS: an emulator, and the functions as Lambda runs them.

Rule upheld here: what it started has ended when it ends, and nothing of it is kept.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Optional

from . import aws_console as console

if TYPE_CHECKING:
    from fk_backend.providers.aws.dev.emulator import Emulator
    from fk_backend.providers.aws.dev.function import Invocation
    from fk_backend.providers.aws.dev.host import Host
    from fk_backend.providers.aws.dev.resources import Account

ACCOUNT = "123456789012"
"""The one that AWS uses in its examples."""


def serve(options: argparse.Namespace) -> int:
    """Runs until SIGTERM (0) or SIGINT (130), also while it starts; 1 if it can't start or the emulator ends."""
    lacking = console.missing()
    if lacking:
        return _print_error(lacking)
    from fk_backend.errors import BackendError
    from fk_backend.providers.aws import names
    from fk_backend.providers.aws.dev.access import ENFORCING
    from fk_backend.providers.aws.dev.emulator import Emulator, EmulatorFailed
    from fk_backend.providers.aws.dev.venvs import SetUpFailed

    ending = _Ending()
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGTERM, ending.handle)
    try:
        names.checked(options.name)
        if options.package:
            console.package_file(options.package)
        print("starting the emulator (the first time it is installed, which takes a moment)", flush=True)
        with Emulator(options.port, ENFORCING if options.permissions else None) as emulator:
            return _serve(options, emulator, ending)
    except KeyboardInterrupt:
        return _print_error("interrupted", console.INTERRUPTED)
    except BackendError as error:
        return _print_error(str(error), console.code_of(error))
    except (EmulatorFailed, SetUpFailed, OSError, ValueError) as error:
        return _print_error(str(error))
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


class _Ending:
    """That it was told to end, and by which signal."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.exit_code = 0

    def handle(self, number: int, _: object) -> None:
        """A signal's handler."""
        self.exit_code = console.INTERRUPTED if number == signal.SIGINT else 0
        self.event.set()


def _serve(options: argparse.Namespace, emulator: "Emulator", ending: _Ending) -> int:
    from fk_backend.providers.aws.dev import access, resources
    from fk_backend.providers.aws.dev.host import Host, functions_of, ignore

    account = resources.Account(options.name, ACCOUNT, emulator.url)
    host = Host(
        account,
        functions_of(account),
        _deployed(options, account),
        observe=lambda invocation: _show(line(invocation, options.name)),
        log=(lambda function, text: _show("%s: %s" % (function, text))) if options.logs else ignore,
        trouble=lambda text: _show("trouble: " + text),
        roles=options.permissions,
    )
    credentials = account.environment
    if options.permissions:
        credentials.update(access.of_client(account, access.client_policy(account)))
    signal.signal(signal.SIGINT, ending.handle)  # until now it was a KeyboardInterrupt: nothing was there to be drained
    with host:
        credentials["AWS_ENDPOINT_URL_LAMBDA"] = host.url  # the emulator has no functions
        print(_how_to_use(account, credentials), flush=True)
        return _wait(host, emulator, ending)


def _deployed(options: argparse.Namespace, account: "Account") -> Path:
    """Deploys as `fk-kazoo deploy` does; the package that was deployed, made for this machine."""
    from fk_backend.providers.aws.deploy import deploy
    from fk_backend.providers.aws.package import HOST, build

    print("packaging the functions, and deploying them to %s" % account.endpoint_url, flush=True)
    package = Path(options.package) if options.package else build(target=HOST).path
    deploy(
        account.name,
        account.session(),
        package=package,
        region=account.region,
        endpoint_url=account.endpoint_url,
        parameters={"Mappings": "Disabled"},
    )
    return package


def _wait(host: "Host", emulator: "Emulator", ending: _Ending) -> int:
    while not ending.event.wait(0.5):
        if not emulator.running:
            return _print_error("the emulator has ended")
    print("ending", flush=True)
    host.stop()
    return ending.exit_code


def _how_to_use(account: "Account", credentials: Dict[str, str]) -> str:
    wanted = (
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        *(
            "AWS_REGION",
            "AWS_DEFAULT_REGION",
            "AWS_ENDPOINT_URL",
            "AWS_ENDPOINT_URL_LAMBDA",
        ),  # by these, fk-kazoo status and every other tool ask it
    )
    exports = ["  export %s=%s" % (key, credentials[key]) for key in wanted]
    lines = [
        "",
        "AWS is emulated at %s. To use the deployment %r from another terminal:" % (account.endpoint_url, account.name),
        "",
        "  unset AWS_PROFILE AWS_SESSION_TOKEN",
        *exports,
        "  export FK_KAZOO_URL='%s'" % account.url,
        "",
        "Everything in it is gone when this ends: Ctrl-C. The functions as they are invoked:",
        "",
    ]
    return "\n".join(lines)


def line(invocation: "Invocation", name: str) -> str:
    """One invocation, readable: the function, what for, how long, and what came of it."""
    prefix = "fk-%s-" % name
    function = invocation.function[len(prefix) :] if invocation.function.startswith(prefix) else invocation.function
    parts = ["%-12s" % function, "%-24s" % _what_for(invocation.event), "%8.1f ms" % invocation.duration_ms]
    if invocation.cold:
        parts.append("cold")
    failed = _failed(invocation.result)
    if invocation.error is not None:
        parts.append("FAILED %s" % invocation.error)
    elif failed:
        parts.append("%d failed" % failed)
    return "  ".join(parts)


def _what_for(event: Any) -> str:
    records: Optional[List[Any]] = event.get("Records") if isinstance(event, dict) else None
    if records is None:
        return "called"
    if "message" in event:
        return "a write of %.60s" % event.get("ns")
    groups = sorted({one["attributes"].get("MessageGroupId", "") for one in records} - {""})
    count = "%d message%s" % (len(records), "" if len(records) == 1 else "s")
    return count + (" of " + ", ".join(groups) if groups else "")


def _failed(result: Any) -> int:
    items = result.get("batchItemFailures") if isinstance(result, dict) else None
    return len(items) if isinstance(items, list) else 0


def _show(text: str) -> None:
    print(time.strftime("%H:%M:%S"), " ", text, flush=True)


def _print_error(text: str, code: int = console.FAILED) -> int:
    print("fk-kazoo dev: " + text, file=sys.stderr, flush=True)
    return code
