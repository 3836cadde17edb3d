"""Every module of kazoo that an app can import is there under fk_kazoo, with the very same objects in it."""

from __future__ import annotations

import importlib
import os
import pickle
import pkgutil
import subprocess
import sys
import textwrap
from typing import Iterator, List

import kazoo
import kazoo.exceptions
import pytest

import fk_kazoo
import fk_kazoo.exceptions
from fk_backend.core import model

NOT_MIRRORED = {
    "kazoo.client": "its KazooClient is ours; checked on its own below",
    "kazoo.testing": "its test cases run on a deployment; tests/client/test_testing.py",
    "kazoo.testing.harness": "as kazoo.testing",
    "kazoo.python2atexit": "a shim for Python 2, until kazoo 2.9",
}
MODULES_OF_PACKAGES = {"kazoo.recipe", "kazoo.handlers", "kazoo.protocol"}


def _modules() -> Iterator[str]:
    for module in pkgutil.walk_packages(kazoo.__path__, "kazoo."):
        if not module.name.startswith("kazoo.tests") and module.name not in NOT_MIRRORED:
            yield module.name


def _python(code: str) -> List[str]:
    """What a fresh interpreter prints."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60, text=True, env=environ)
    return done.stdout.split()


@pytest.mark.parametrize("name", sorted(_modules()))
def test_module_is_mirrored(name: str) -> None:
    try:
        theirs = importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = str(error.name)
    else:
        missing = ""
    if missing:
        with pytest.raises(ModuleNotFoundError, match=missing):
            importlib.import_module("fk_" + name)
        pytest.skip(f"{name} needs {missing}, and so does its mirror")
    ours = importlib.import_module("fk_" + name)
    for attribute in vars(theirs):
        if not attribute.startswith("__"):
            assert getattr(ours, attribute) is getattr(theirs, attribute)
    if name not in MODULES_OF_PACKAGES and name != "kazoo.exceptions":
        assert ours is theirs


def test_client_module_is_mirrored() -> None:
    client = pytest.importorskip("fk_kazoo.client")
    theirs = importlib.import_module("kazoo.client")
    for attribute in vars(theirs):
        if not attribute.startswith("__") and attribute not in ("KazooClient", "ConnectionHandler"):
            assert getattr(client, attribute) is getattr(theirs, attribute)
    assert issubclass(client.KazooClient, theirs.KazooClient)
    assert issubclass(client.ConnectionHandler, theirs.ConnectionHandler)


@pytest.mark.parametrize("name", ["recipe.locks", "nothing", "handlers.twisted"])
def test_what_kazoo_has_not_is_not_there(name: str) -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f"fk_kazoo.{name}")


def test_missing_names() -> None:
    with pytest.raises(AttributeError, match=r"fk_kazoo\.exceptions.*NoSuchError"):
        fk_kazoo.exceptions.NoSuchError  # noqa: B018
    with pytest.raises(AttributeError, match=r"fk_kazoo.*nothing"):
        fk_kazoo.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_importing_the_package_imports_nothing_to_patch() -> None:
    """gevent and eventlet have to patch before kazoo is imported; neither kazoo nor what they patch may be loaded."""
    printed = _python(
        """
        import sys
        before = set(sys.modules)
        import fk_kazoo, fk_kazoo.recipe, fk_kazoo.handlers, fk_kazoo.protocol
        print(*sorted(m for m in set(sys.modules) - before if not m.startswith("fk_kazoo")))
        """
    )
    assert not {"kazoo", "threading", "socket", "ssl", "select", "selectors", "time", "queue"} & set(printed)


def test_only_their_own_handler_imports_gevent_and_eventlet() -> None:
    printed = _python(
        """
        import importlib, pkgutil, sys
        import fk_kazoo
        for module in pkgutil.walk_packages(fk_kazoo.__path__, "fk_kazoo."):
            if module.name.split(".")[-1] not in ("gevent", "eventlet", "testing", "harness", "common", "__main__"):
                if module.name != "fk_kazoo.client":
                    importlib.import_module(module.name)
        print(*(m for m in ("gevent", "eventlet") if m in sys.modules), "done")
        """
    )
    assert printed == ["done"]


def test_submodules_are_attributes_as_in_kazoo() -> None:
    printed = _python(
        """
        import fk_kazoo.recipe
        print(hasattr(fk_kazoo, "retry"), hasattr(fk_kazoo.recipe, "lock"))
        import kazoo.client
        print(fk_kazoo.retry.KazooRetry.__name__, fk_kazoo.recipe.lock.Lock.__name__)
        print(fk_kazoo.exceptions.NoNodeError is kazoo.exceptions.NoNodeError)
        """
    )
    assert printed == ["False", "False", "KazooRetry", "Lock", "True"]


OURS = [
    (fk_kazoo.exceptions.StorageFullError, -1001, "SystemZookeeperError"),
    (fk_kazoo.exceptions.PayloadTooLargeError, -1002, "ConnectionLoss"),
    (fk_kazoo.exceptions.RequestDeadLetteredError, -1003, "ConnectionLoss"),
    (fk_kazoo.exceptions.PathTooLongError, -1004, "ConnectionLoss"),
    (fk_kazoo.exceptions.TransactionTooLargeError, -1005, "ConnectionLoss"),
]


@pytest.mark.parametrize(("error", "code", "base"), OURS)
def test_our_exceptions_are_in_kazoos_table(error: type, code: int, base: str) -> None:
    assert kazoo.exceptions.EXCEPTIONS[code] is error
    assert issubclass(error, getattr(kazoo.exceptions, base))
    raised = kazoo.exceptions.EXCEPTIONS[code]()
    assert raised.code == code
    outcome = "whether it was done is unknown" if code == model.Error.DEAD_LETTERED else "nothing was changed"
    assert outcome in str(raised)
    assert str(error("in other words")) == "in other words"
    assert pickle.loads(pickle.dumps(raised)).args == raised.args


def test_our_codes_are_the_cores() -> None:
    assert [code for _, code, _ in OURS] == [
        model.Error.STORAGE_FULL,
        model.Error.TOO_LARGE,
        model.Error.DEAD_LETTERED,
        model.Error.PATH_TOO_LONG,
        model.Error.TRANSACTION_TOO_LARGE,
    ]


def test_configuration_error_has_a_default_message() -> None:
    error = fk_kazoo.exceptions.DeploymentConfigurationError()
    assert isinstance(error, kazoo.exceptions.ConfigurationError)
    assert "FK_KAZOO_URL" in str(error)


def test_versions() -> None:
    assert fk_kazoo.__version__[0].isdigit()
    assert importlib.import_module("fk_kazoo.version").__version__ == kazoo.__version__
