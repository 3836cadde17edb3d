"""Every command says by its exit code which kind of wrong it was, on every provider, in one line."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple, Type

import pytest

from fk_backend import errors
from fk_backend.backup.archive import NoBackup
from fk_kazoo.cli.failures import explained
from fk_kazoo.cli.main import MODULES
from fk_kazoo.commands import aws_console, operation
from fk_kazoo.exceptions import DeploymentConfigurationError

from .conftest import Run

CODES: Dict[Type[BaseException], int] = {
    errors.BackendError: 1,
    errors.Refused: 4,
    errors.WentBack: 4,
    errors.Conflict: 4,
    errors.Taken: 4,
    errors.StorageFull: 1,
    errors.TooLarge: 4,
    errors.Unavailable: 1,
    errors.NotAllowed: 4,
    errors.Unknown: 1,
    errors.DeploymentError: 1,
    errors.WrongUsage: 2,
    errors.BadUrl: 2,
    errors.NotFound: 3,
    errors.NotADeployment: 1,
    errors.NoDeployment: 3,
    errors.Protected: 4,
    errors.UnknownFormat: 1,
    errors.NoPermission: 4,
    NoBackup: 1,
    FileNotFoundError: 3,
    PermissionError: 4,
    FileExistsError: 4,
    OSError: 1,
}


def test_each_kind_of_error_has_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    """The same by whatever way a command is run; no kind was forgotten."""
    kinds = [one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, Exception)]
    assert set(kinds) <= set(CODES)
    for kind, code in CODES.items():

        def fails(kind: Type[BaseException] = kind) -> int:
            raise kind("why")

        assert explained(kind("why")) == ("why", code)
        assert operation.run("backup", "local://x", fails) == code
        if issubclass(kind, errors.BackendError):
            assert aws_console.run("status", fails) == code
            refused = DeploymentConfigurationError("a client's word")
            refused.__cause__ = kind("why")
            assert explained(refused) == ("why", code)
        assert "why" in capsys.readouterr().err


# What is said to each command: (words, exit code). `{tmp}`: a directory; `local://app` holds /there; AWS answers 404.
TOLD: Dict[str, List[Tuple[str, int]]] = {
    "ls": [("/none", 3), ("--url local://none", 3), ("--url x://a", 2)],
    "tree": [("/none", 3), ("--url local://none", 3), ("--url x://a", 2)],
    "get": [("/none", 3), ("/secret", 4), ("", 2), ("--url local://none /a", 3)],
    "stat": [("/none", 3), ("", 2)],
    "find": [("/none", 3), ("--data (", 2)],
    "set": [("/none x", 3), ("/there x -v 9", 4), ("/secret x", 4), ("/there --file {tmp}/none", 3)],
    "create": [("/there", 4), ("/none/a", 3), ("/there/x --acl x", 2), ("/x --file {tmp}/none", 3)],
    "rm": [("/none", 3), ("/", 4), ("/there -v 9", 4), ("", 2)],
    "acl": [("/none", 3), ("/there --set x", 2), ("/there --set world:anyone:r -v 9", 4)],
    "cp": [("/none /x", 3), ("-r / /x", 4), ("/there /secret", 4)],
    "edit": [("/none", 3)],
    "watch": [("/a//b", 2), ("--url local://none", 3)],
    "copy": [("local://none local://x", 3), ("local://app local://app", 4), ("{tmp}/none local://x", 3)],
    "compare": [("local://none local://app", 3), ("local://app {tmp}/none", 3), ("local://app", 2)],
    "backup": [("local://none {tmp}/x", 3), ("local://app {tmp}", 4), ("x://a {tmp}/x", 2)],
    "restore": [("{tmp}/none local://x", 3), ("{tmp}/none x://a", 2)],
    "sessions": [("--url local://none", 3), ("--url x://a", 2)],
    "locks": [("/none", 3), ("--url local://none", 3)],
    "doctor": [("--url local://none", 3), ("--url x://a", 2), ("--auth x", 2)],
    "top": [("--url local://none", 3), ("--interval 0", 2), ("--url x://a", 2)],
    "console": [("--url local://app/none", 3), ("--url local://none", 3), ("--port 99999", 2), ("--url x://a", 2)],
    "bench": [("--size many", 2), ("--url x://a", 2)],
    "shell": [("--nonsense", 2)],
    "serve": [("x://a", 2), ("local://app --listen nowhere", 2), ("local://app --listen 127.0.0.1:99999", 2),
              ("local://app --tls-cert {tmp}/none", 3), ("local://app/chroot", 2)],
    "init": [("local://app", 2)],
    "deployments": [("--nonsense", 2)],
    "destroy": [("local://none --yes", 3), ("local://app --yes", 4), ("absent --yes", 3), ("local://app", 4)],
    "deploy": [("a_b --yes", 2), ("absent --yes --package {tmp}/none", 3), ("absent", 2)],
    "status": [("a_b", 2), ("absent", 3), ("absent --endpoint-url x", 2)],
    "rollback": [("a_b --yes", 2), ("absent --yes", 3), ("absent", 2)],
    "package": [("-o {tmp}/none/x", 3)],
    "verify": [("", 2)],
    "cost": [("--reads x --writes 1", 2)],
    "dev": [("aws --port 99999", 2), ("aws --name a_b", 2)],
    "completion": [("tcsh", 2)],
}  # fmt: skip


class _Nothing:
    """An account with nothing in it."""

    exceptions = type("exceptions", (), {"ClientError": Exception, "NoSuchEntityException": Exception})
    meta = type("meta", (), {"partition": "aws"})

    def __getattr__(self, operation_name: str) -> Any:
        from botocore.exceptions import ClientError

        if operation_name == "get_caller_identity":
            return lambda **_: {"Account": "123456789012"}
        if operation_name == "get_paginator":
            return lambda name: type("Pages", (), {"paginate": staticmethod(lambda **_: iter(()))})

        def absent(**_: Any) -> Any:
            text = "Stack with id x does not exist"
            raise ClientError({"Error": {"Code": "ValidationError", "Message": text}}, operation_name)

        return absent


@pytest.fixture
def prepared(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("FK_KAZOO_URL", "local://app")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "test")
    for key in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(key, raising=False)
    from boto3.session import Session

    plain = Session.client
    nobody = _Nothing()
    monkeypatch.setattr(Session, "client", lambda self, name, **more: (
        plain(self, name, **more) if more.get("endpoint_url") else nobody))  # fmt: skip
    run("create", "/there")
    run("create", "/secret", "--acl", "password:me:secret:cdrwa")
    yield tmp_path


@pytest.mark.parametrize("command", sorted(TOLD))
def test_every_command(run: Run, prepared: Path, command: str) -> None:
    for words, code in TOLD[command]:
        done = run(command, *words.format(tmp=prepared).split())
        assert done.code == code, (words, done)
        assert "Traceback" not in done.err and (code == 2 or done.err.count("\n") <= 1), (words, done)
    assert sorted(one.name for one in prepared.iterdir()) == ["home"], "nothing half written"


def test_no_command_was_forgotten() -> None:
    assert set(TOLD) == set(MODULES) - {"run"}, "fk-kazoo run's own are tested with it"
