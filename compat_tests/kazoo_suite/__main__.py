"""kazoo's own tests against a deployment, and a table of what became of each: nothing is left out unnamed.

python -m compat_tests.kazoo_suite --url memory://suite [--kazoo-tests PATH] [pytest's arguments]
"""

from __future__ import annotations

import argparse
import importlib.util
import platform
import sys
from pathlib import Path
from typing import Dict, List, Optional

try:
    import pytest

    from . import plugin
except ImportError as error:
    raise SystemExit("%s: %s -m pip install -e '.[test]' installs what is needed" % (error, sys.executable)) from None

HERE = Path(__file__).parent


def tests_of_kazoo() -> Path:
    """Where the installed kazoo has its tests."""
    spec = importlib.util.find_spec(plugin.PACKAGE)
    if spec is None or spec.origin is None:
        raise SystemExit("the installed kazoo comes without its tests; give their directory with --kazoo-tests")
    return Path(spec.origin).parent


def table(url: str) -> str:
    """What became of the tests."""
    tally = plugin.tally
    rows = [
        "",
        "kazoo %s's own tests on %s, Python %s" % (plugin.release(), url, platform.python_version()),
        "",
        "collected        %4d" % tally.collected,
        "passed           %4d" % tally.count(plugin.PASSED),
        "failed           %4d" % tally.count(plugin.FAILED),
        "skipped          %4d" % tally.count(plugin.SKIPPED),
        *_entries(tally.skipped()),
        "not applicable   %4d" % len(tally.not_applicable),
        *_entries(tally.not_applicable),
        *(["not run          %4d" % tally.not_run()] if tally.not_run() else []),
        "",
        tally.closing_line(),
    ]
    return "\n".join(rows)


def _entries(reasons: Dict[str, str]) -> List[str]:
    return [line for name, reason in sorted(reasons.items()) for line in ("    " + name, "        " + reason)]


def main(argv: Optional[List[str]] = None) -> int:
    """Runs the tests; pytest's exit code."""
    parser = argparse.ArgumentParser(prog="python -m compat_tests.kazoo_suite", description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True, help="the deployment, without a chroot")
    parser.add_argument("--kazoo-tests", metavar="PATH", help="kazoo's tests, if not those of the installed kazoo")
    options, rest = parser.parse_known_args(argv)
    place = Path(options.kazoo_tests) if options.kazoo_tests else tests_of_kazoo()
    targets = [_placed(argument, place) for argument in rest]
    if targets == rest:
        targets.append(str(place))
    common = ["-c", str(HERE / "pytest.ini"), "--rootdir", str(place), "--fk-url", options.url]
    status = int(pytest.main([*common, *_cache(rest), *targets], plugins=[plugin]))
    if _has_run(status):
        print(table(options.url))
    return status


def _cache(arguments: List[str]) -> List[str]:
    """What failed is remembered (`--last-failed`) where somebody says where; else it would be beside kazoo's tests."""
    return [] if any(word.startswith("cache_dir=") for word in arguments) else ["-p", "no:cacheprovider"]


def _has_run(status: int) -> bool:
    """Whether there was a run at all: not so for arguments that can't be understood."""
    return status not in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERNAL_ERROR)


def _placed(argument: str, place: Path) -> str:
    """A test file of kazoo's, which is named without its directory, where it is; any other argument as it is."""
    name, mark, test = argument.partition("::")
    return "%s%s%s" % (place / name, mark, test) if name.endswith(".py") else argument


if __name__ == "__main__":
    sys.exit(main())
