"""A pytest plugin that has kazoo's tests test a deployment. It replaces the client and the harness, and no test.

    pytest -p compat_tests.kazoo_suite.plugin --pyargs kazoo.tests --fk-url memory://suite

Replaced, before a test module is imported: ``KazooClient`` in ``kazoo.client`` and ``kazoo.testing.harness``,
``get_global_cluster`` there, and the harness's ``expire_session`` and ``lose_connection``. With ``--fk-gateway`` only
``get_global_cluster``: kazoo's own client connects to gateways in front of the deployment.
"""

from __future__ import annotations

import faulthandler
import importlib
import logging
import os
import sys
from typing import Any, Dict, Iterator, List, Optional, Tuple

import pytest

from fk_backend.errors import DeploymentError
from fk_kazoo.url import ENVIRONMENT_VARIABLE, parse

from .not_applicable import BY_RELEASE, NOT_APPLICABLE, ON_GATEWAYS

PACKAGE = "kazoo.tests"
TIMEOUT_S = 120
LAST_RESORT_S = 2 * TIMEOUT_S
DELAY_S = 0.01
"""How long a write takes on its way to the deployment at least.

kazoo's test_lock and its like need it: their main thread looks at who has the lock after one contender let go of it and
before the next one has it, and hangs if it is scheduled later than that, with ZooKeeper too.
"""
CHECKED_RELEASE = "2.11.0"
"""The release of kazoo that every entry of the list must name a test of."""

_stderr = os.dup(2)
"""Before pytest captures it."""
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


class Tally:
    """What became of kazoo's tests in this run."""

    def __init__(self) -> None:
        self.collected = 0
        self.not_applicable: Dict[str, str] = {}
        self.outcomes: Dict[str, str] = {}
        self.reasons: Dict[str, str] = {}

    def count(self, outcome: str) -> int:
        """How many tests ended so."""
        return sum(found == outcome for found in self.outcomes.values())

    def not_run(self) -> int:
        """Tests that the arguments left out, or that an interrupted run did not reach."""
        return max(0, self.collected - len(self.outcomes) - len(self.not_applicable))

    def skipped(self) -> Dict[str, str]:
        """Tests that skipped themselves, with what they say."""
        return {name: self.reasons.get(name, "") for name, found in self.outcomes.items() if found == SKIPPED}

    def note(self, report: pytest.TestReport) -> None:
        """A phase of a test is over: a failure in any of them is a failure."""
        name = _short(report.nodeid)
        if report.failed:
            self.outcomes[name] = FAILED
        elif report.skipped and self.outcomes.get(name) != FAILED:
            self.outcomes[name] = SKIPPED
            if isinstance(report.longrepr, tuple):
                self.reasons[name] = str(report.longrepr[2]).replace("Skipped: ", "")
        elif report.when == "call":
            self.outcomes.setdefault(name, PASSED)

    def closing_line(self) -> str:
        """As pytest's own, with the failures always named."""
        parts = ["%d passed, %d failed, %d deselected" % (
            self.count(PASSED), self.count(FAILED), len(self.not_applicable))]  # fmt: skip
        if self.count(SKIPPED):
            parts.append("%d skipped" % self.count(SKIPPED))
        return ", ".join(parts)


tally = Tally()


def _short(nodeid: str) -> str:
    """``test_x.py::Class::test``, wherever kazoo is installed."""
    place, _, rest = nodeid.partition("::")
    return "%s::%s" % (place.rpartition("/")[2], rest)


# --- pytest's hooks -----------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--fk-url``."""
    group = parser.getgroup("fk_kazoo")
    group.addoption("--fk-url", metavar="URL", help="the deployment that kazoo's tests run against")
    through = "with kazoo's own client, unchanged, through gateways (fk-kazoo serve)"
    group.addoption("--fk-gateway", action="store_true", help=through)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Has everything replaced before kazoo's test modules are imported."""
    if getattr(config.option, "timeout", None) is None:
        config.option.timeout = TIMEOUT_S
    url = config.getoption("--fk-url") or os.environ.get(ENVIRONMENT_VARIABLE, "")
    _check(config, url)
    os.environ[ENVIRONMENT_VARIABLE] = url
    os.environ.pop("CI", None)  # kazoo's tests ask with it for the ZooKeeper release of kazoo's own CI
    if config.getoption("--fk-gateway"):
        install_gateways()
    else:
        install()


def _check(config: pytest.Config, url: str) -> None:
    if not url:
        raise pytest.UsageError("say which deployment to test: --fk-url memory://suite")
    try:
        if parse(url).chroot:
            raise pytest.UsageError("give the deployment without a chroot: kazoo's tests make their own")
    except DeploymentError as error:
        raise pytest.UsageError(str(error)) from error
    if not config.pluginmanager.hasplugin("timeout"):
        raise pytest.UsageError("a hanging test must fail: install pytest-timeout")


def install() -> None:
    """Replaces the client and the harness. Again: nothing more happens."""
    if PACKAGE in sys.modules and any(name.startswith(PACKAGE + ".test_") for name in sys.modules):
        raise pytest.UsageError("kazoo's tests are imported already; load this plugin with -p")
    import kazoo.client
    from kazoo.testing import harness

    from fk_kazoo.testing import cluster, faults
    from fk_kazoo.testing.routed import KazooClient

    cluster.delay_s = DELAY_S
    kazoo.client.KazooClient = KazooClient
    harness.KazooClient = KazooClient
    harness.get_global_cluster = cluster.get_global_cluster
    harness.KazooTestHarness.expire_session = faults.expire_session
    harness.KazooTestHarness.lose_connection = faults.lose_connection


def install_gateways() -> None:
    """Replaces the servers, and nothing of the client."""
    from kazoo.testing import harness

    from compat_tests.gateway import gateway_cluster
    from fk_kazoo.testing import cluster

    cluster.delay_s = DELAY_S
    harness.get_global_cluster = gateway_cluster.get_global_cluster


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """A test whose clean-up hangs after its time was up ends the run, with what every thread was doing."""
    faulthandler.dump_traceback_later(LAST_RESORT_S, exit=True, file=_stderr)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: List[pytest.Item]) -> None:
    """Deselects what is not applicable, by name."""
    applicable: List[pytest.Item] = []
    deselected: List[pytest.Item] = []
    _refuse_stale_names()
    listed, gateways = listing(), config.getoption("--fk-gateway")
    for item in items:
        reason = None if gateways and _short(item.nodeid) in ON_GATEWAYS else listed.get(_short(item.nodeid))
        if reason is None:
            applicable.append(item)
        else:
            tally.not_applicable[_short(item.nodeid)] = reason
            deselected.append(item)
    tally.collected = len(items)
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        items[:] = applicable


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """A module that can't be imported counts as a failure."""
    if report.failed:
        tally.outcomes[_short(report.nodeid)] = FAILED


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Counts."""
    tally.note(report)


def pytest_report_header(config: pytest.Config) -> str:
    """What is tested with what."""
    return "kazoo %s on %s" % (release(), os.environ[ENVIRONMENT_VARIABLE])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Removes what the tests have left in the deployment."""
    if tally.outcomes:
        sweep()


# --- the list -----------------------------------------------------------------------------------


def release() -> str:
    """The installed kazoo's."""
    from kazoo.version import __version__

    return str(__version__)


def listing() -> Dict[str, str]:
    """What is not applicable in this release of kazoo."""
    return {**NOT_APPLICABLE, **BY_RELEASE.get(release(), {})}


def _refuse_stale_names() -> None:
    names = {*(NOT_APPLICABLE if release() == CHECKED_RELEASE else ()), *BY_RELEASE.get(release(), {})}
    stale = sorted(name for name in names if not _exists(name))
    if stale:
        raise pytest.UsageError("listed as not applicable, but kazoo has no such test: %s" % ", ".join(stale))


def _exists(name: str) -> bool:
    place, owner, test = _parts(name)
    try:
        found: Any = importlib.import_module("%s.%s" % (PACKAGE, place))
    except ImportError:
        return False
    return hasattr(getattr(found, owner, None) if owner else found, test)


def _parts(name: str) -> Tuple[str, Optional[str], str]:
    parts = name.split("::")
    return parts[0].replace(".py", ""), parts[1] if len(parts) == 3 else None, parts[-1]


# --- afterwards ---------------------------------------------------------------------------------


def sweep() -> None:
    """Deletes the trees of this run's tests."""
    from fk_kazoo.client import KazooClient
    from fk_kazoo.testing.routed import chroots

    logging.getLogger("kazoo").setLevel(logging.CRITICAL)  # some tests leave clients behind, which are cut off now
    client = KazooClient(os.environ[ENVIRONMENT_VARIABLE])
    try:
        client.start()
        for chroot in sorted(chroots):
            if chroot.startswith("/kazootests") and client.exists(chroot):
                _delete(client, chroot)
    except Exception as error:
        print("some of /kazootests* is left behind in the deployment: %r" % error, file=sys.stderr)
    finally:
        client.stop()
        client.close()


def _delete(client: Any, path: str) -> None:
    """A node and what is below it; a node that may not be read has nothing below it."""
    from kazoo.exceptions import NoAuthError, NoNodeError

    try:
        for child in client.get_children(path):
            _delete(client, "%s/%s" % (path, child))
    except (NoAuthError, NoNodeError):
        pass
    try:
        client.delete(path)
    except NoNodeError:
        pass  # ephemeral: its session ended
