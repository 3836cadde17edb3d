"""A deployment made from its template, in an account of the emulator.

Rule upheld here: every test has an account of its own; no function runs, so any zip will do as the package.
"""

from __future__ import annotations

import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any, List, NamedTuple

import pytest

from fk_backend.providers.aws.deploy import Outcome, deploy
from fk_backend.providers.aws.dev.resources import Account

NAME = "test"


@lru_cache(maxsize=16)
def _client(account: Account, service: str) -> Any:
    """It takes longer to make one than to use it."""
    return account.client(service)


class Place(NamedTuple):
    """An account, a package, and what was told while deploying."""

    account: Account
    package: Path
    told: List[str]

    def client(self, service: str) -> Any:
        """A boto3 client."""
        return _client(self.account, service)

    def deploy(self, **more: Any) -> Outcome:
        """Deploys with the queues' mappings disabled: the emulator must not run functions."""
        parameters = {"Mappings": "Disabled", **more.pop("parameters", {})}
        more.setdefault("package", self.package)
        return deploy(NAME, parameters=parameters, progress=self.told.append, **more)

    def stack_status(self) -> str:
        """Of the deployment's stack; "" if there is none."""
        found = self.client("cloudformation").describe_stacks()["Stacks"]
        return next((one["StackStatus"] for one in found if one["StackName"] == "fk-" + NAME), "")

    def waiting_changes(self) -> List[str]:
        """Change sets that could still be executed."""
        found = self.client("cloudformation").list_change_sets(StackName="fk-" + NAME)["Summaries"]
        return [one["ChangeSetName"] for one in found if one["ExecutionStatus"] == "AVAILABLE"]

    def names(self) -> List[str]:
        """Of all tables, queues, buckets and functions in the account."""
        queues = [url.rpartition("/")[2] for url in self.client("sqs").list_queues().get("QueueUrls", ())]
        buckets = [one["Name"] for one in self.client("s3").list_buckets()["Buckets"]]
        functions = [one["FunctionName"] for one in self.client("lambda").list_functions()["Functions"]]
        return sorted([*self.client("dynamodb").list_tables()["TableNames"], *queues, *buckets, *functions])


def made_package(path: Path, content: str = "") -> Path:
    """A zip with one module that says ``content``."""
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("module.py", content)
    return path


@pytest.fixture()
def place(empty_account: Account, tmp_path: Path) -> Place:
    return Place(empty_account, made_package(tmp_path / "package.zip"), [])
