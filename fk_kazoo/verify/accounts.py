"""Where `verify` runs: an account of AWS, or an emulator on this machine with what stands in for Lambda.

Rule upheld here: whatever was made is removed, however far it came. Packages of other deployments stay.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from types import MappingProxyType
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Set

from fk_backend.errors import NoDeployment
from fk_backend.providers.aws import deploy as deployment
from fk_backend.providers.aws import destroy, names, package
from fk_backend.providers.aws.cloud import Cloud, absent, explained

Notify = Callable[[str], None]
NO_EVENT: Dict[str, Any] = {"Records": []}
"""What a schedule says."""
SERVICES = ("cloudformation", "cloudwatch", "dynamodb", "events", "iam", "lambda", "logs", "s3", "sqs", "sts")
"""Whose clients several checks use at once."""


class Account:
    """An account and region of AWS. ``endpoint_url``: of somebody else's emulator."""

    emulator = ""
    """What emulates AWS here, if anything does."""
    parameters: Mapping[str, str] = MappingProxyType({})
    target = package.LAMBDA
    troubles: Sequence[str] = ()
    """What went wrong beside everything else, on an emulator."""

    def __init__(self, region: Optional[str], endpoint_url: Optional[str], notify: Notify) -> None:
        self.notify = notify
        self.cloud = Cloud(None, region, endpoint_url)
        if self.cloud.endpoint_url:
            self.emulator = "an emulator at %s" % self.cloud.endpoint_url
        self._packages: Optional[Set[str]] = None
        self._package: Optional[Path] = None

    @property
    def where(self) -> str:
        """For the report: the region; the account's number is nobody's business."""
        return self.cloud.region

    def prepare(self) -> None:
        """Packs the functions, and lays them down where deployments find them."""
        for service in SERVICES:  # now: making one is not safe beside others that make some
            self.cloud.client(service)
        self.notify("packing the functions")
        self._package = package.build(target=self.target).path
        content = self._package.read_bytes()
        bucket = deployment.package_bucket(self.cloud)
        self._packages = self._stored(bucket)
        key = "fk_kazoo/%s.zip" % hashlib.sha256(content).hexdigest()
        deployment.upload(self.cloud, bucket, key, content, self.notify)

    def deploy(self, name: str, namespaces: Sequence[str] = ()) -> str:
        """A new deployment; its URL."""
        assert self._package is not None, "prepare comes first"
        outcome = deployment.deploy(
            name,
            package=self._package,
            region=self.cloud.region,
            endpoint_url=self.cloud.endpoint_url,
            namespaces=namespaces,
            parameters=self.parameters,
            progress=lambda line: self._report(name, line),
        )
        return outcome.url

    def destroy(self, name: str) -> None:
        """The deployment and all that is in it, whatever there is of it."""
        try:
            destroy.destroy(
                name,
                region=self.cloud.region,
                endpoint_url=self.cloud.endpoint_url,
                force=True,
                progress=lambda line: self._report(name, line),
            )
        except NoDeployment:
            pass  # it never came to be

    def forget_packages(self) -> None:
        """What `prepare` laid down, unless it was there before."""
        if self._packages is None:
            return
        bucket, storage = deployment.package_bucket(self.cloud), self.cloud.client("s3")
        with explained():
            for key in self._stored(bucket) - self._packages:
                storage.delete_object(Bucket=bucket, Key=key, ExpectedBucketOwner=self.cloud.account)
            if not self._packages and not self._stored(bucket):
                try:
                    storage.delete_bucket(Bucket=bucket, ExpectedBucketOwner=self.cloud.account)
                except storage.exceptions.ClientError as error:
                    if not absent(error):
                        raise

    def stop_environments(self, name: str, which: str) -> None:
        """Makes every environment of a function go: Lambda does so when its configuration changes."""
        functions, function = self.cloud.client("lambda"), names.function(name, which)
        with explained():
            variables = functions.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
            variables["FK_VERIFY_CHILLED"] = str(time.time_ns())
            functions.update_function_configuration(FunctionName=function, Environment={"Variables": variables})
            functions.get_waiter("function_updated_v2").wait(FunctionName=function)
            for alias in functions.list_aliases(FunctionName=function)["Aliases"]:
                version = functions.publish_version(FunctionName=function)["Version"]
                functions.update_alias(FunctionName=function, Name=alias["Name"], FunctionVersion=version)

    def collect_dead_letters(self, name: str) -> None:
        """As the schedule does every few minutes."""
        with explained():
            self.cloud.client("lambda").invoke(
                FunctionName=names.function(name, names.DEAD_LETTER), Qualifier="live", Payload=json.dumps(NO_EVENT)
            )

    def close(self) -> None:
        """Lets go of what runs here."""

    def _report(self, name: str, line: str) -> None:
        """What CloudFormation does is a hundred lines; what it can't do is told."""
        if "FAILED" in line:
            self.notify("%s: %s" % (name, line))

    def _stored(self, bucket: str) -> Set[str]:
        storage = self.cloud.client("s3")
        found: Set[str] = set()
        with explained():
            try:
                pages = storage.get_paginator("list_objects_v2")
                for page in pages.paginate(Bucket=bucket, ExpectedBucketOwner=self.cloud.account):
                    found.update(one["Key"] for one in page.get("Contents", ()))
            except storage.exceptions.ClientError as error:
                if not absent(error):
                    raise
        return found


class EmulatedAccount(Account):
    """An emulator of its own, with permissions enforced, and the packaged functions as Lambda would run them."""

    parameters = MappingProxyType({"Mappings": "Disabled"})
    target = package.HOST

    def __init__(self, notify: Notify) -> None:
        from fk_backend.providers.aws.dev.access import ENFORCING
        from fk_backend.providers.aws.dev.emulator import REQUIREMENT, Emulator
        from fk_backend.providers.aws.dev.resources import Account

        from ..commands.dev_aws import ACCOUNT

        notify("starting an emulator of AWS (the first time it is installed, which takes a moment)")
        self._emulator = Emulator(0, ENFORCING).start()
        self._hosts: Dict[str, Any] = {}
        self._account = Account("verify", ACCOUNT, self._emulator.url)
        self._before = dict(os.environ)
        for key in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
            os.environ.pop(key, None)
        os.environ.update(self._account.environment)
        self._troubles: List[str] = []
        self.troubles = self._troubles
        super().__init__(self._account.region, self._emulator.url, notify)
        self.emulator = "%s, the functions in processes of this machine" % REQUIREMENT

    def deploy(self, name: str, namespaces: Sequence[str] = ()) -> str:
        """The functions are run here: the emulator has none."""
        from fk_backend.providers.aws.dev.host import Host, functions_of

        url = super().deploy(name, namespaces)
        account = self._account._replace(name=name)
        host = Host(account, functions_of(account), self._package, roles=True, trouble=self._troubles.append)
        self._hosts[name] = host.start()
        return url

    def destroy(self, name: str) -> None:
        """The functions end first."""
        host = self._hosts.pop(name, None)
        if host is not None:
            host.stop()
        super().destroy(name)

    def stop_environments(self, name: str, which: str) -> None:
        """Ends the processes that wait for an invocation."""
        self._hosts[name].stop_environments(names.function(name, which))

    def collect_dead_letters(self, name: str) -> None:
        """By hand, as there."""
        self._hosts[name].invoke(names.function(name, names.DEAD_LETTER), NO_EVENT)

    def close(self) -> None:
        """The emulator, and what the environment said before."""
        for host in self._hosts.values():
            host.stop()
        self._emulator.stop()
        os.environ.clear()
        os.environ.update(self._before)
