"""A pytest plugin, found by itself: fixtures for tests of programs that use kazoo or fk_kazoo.

    def test_leader(zk, zk_client, zk_faults):
        other = zk_client()
        zk_faults.expire(zk)

Everything is imported when the first fixture is asked for: a run without them pays nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Iterator

import pytest

if TYPE_CHECKING:
    from .testing.kit import Faults, Kit
    from .testing.recorder import Recorder


SCOPES = ("function", "class", "module", "package", "session")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--zk-url``, and the ini options ``zk_url`` and ``zk_scope``."""
    parser.getgroup("fk_kazoo").addoption("--zk-url", metavar="URL", help="where tests keep nodes; memory by default")
    parser.addini("zk_url", "as --zk-url")
    parser.addini("zk_scope", "who shares a client: function (default), class, module, package or session", default="")


def pytest_configure(config: pytest.Config) -> None:
    """The marker."""
    config.addinivalue_line("markers", "zk(url=URL): where the fixtures of fk_kazoo keep nodes for this test")
    if config.getini("zk_scope") not in ("", *SCOPES):
        raise pytest.UsageError("zk_scope is one of %s" % ", ".join(SCOPES))


def _scope(fixture_name: str, config: pytest.Config) -> Any:
    return config.getini("zk_scope") or "function"


@pytest.fixture(scope=_scope)
def zk_kit(request: pytest.FixtureRequest) -> "Iterator[Kit]":
    """All of it: see `fk_kazoo.testing.kit.Kit`. Clients that are left running fail the test."""
    from .testing.kit import Kit

    marker = request.node.get_closest_marker("zk")
    asked = None
    if marker is not None:
        asked = marker.kwargs.get("url")
        if marker.args or set(marker.kwargs) != {"url"} or not isinstance(asked, str):
            raise pytest.UsageError("the marker is zk(url=URL)")
    with Kit(asked or request.config.getoption("--zk-url") or request.config.getini("zk_url") or None) as kit:
        yield kit


@pytest.fixture(scope=_scope)
def zk_url(zk_kit: "Kit") -> str:
    """What to give to ``KazooClient``: a deployment, or a part of one, that nobody else uses."""
    return zk_kit.url


@pytest.fixture(scope=_scope)
def zk(zk_kit: "Kit") -> Any:
    """A started `fk_kazoo.client.KazooClient`, which is stopped after the test."""
    return zk_kit.client()


@pytest.fixture(scope=_scope)
def zk_client(zk_kit: "Kit") -> Callable[..., Any]:
    """Makes more of them: ``zk_client(timeout=4.0)``."""
    return zk_kit.client


@pytest.fixture
def zk_faults(zk_kit: "Kit") -> "Iterator[Faults]":
    """What can go wrong: see `fk_kazoo.testing.kit.Faults`. All of it ends with the test."""
    yield zk_kit.faults
    zk_kit.faults.end()


@pytest.fixture(scope=_scope)
def zk_clock(zk_kit: "Kit") -> "Kit":
    """The deployment's time, in memory: ``zk_clock.advance(3600.0)``."""
    return zk_kit


@pytest.fixture
def zk_recorder(zk_kit: "Kit") -> "Callable[[Any], Recorder]":
    """What a client tells from now on: ``seen = zk_recorder(client)``; see `fk_kazoo.testing.recorder.Recorder`."""
    from .testing.recorder import Recorder

    return Recorder
