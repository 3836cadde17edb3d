"""Releases, against a Lambda in memory: what is live, the way back, and when there is none."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Dict, List, Optional

import pytest

from fk_backend.errors import DeploymentError
from fk_backend.layout import FORMAT
from fk_backend.providers.aws import deploy, names, releases
from fk_backend.providers.aws.template import template
from fk_backend.providers.aws.template_functions import FUNCTIONS, INVOKED, LIVE, description_of

NAME = "d"


class _ClientError(Exception):
    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.response = {"Error": {"Code": code, "Message": code}}


class Lambda:
    """Versions and aliases of functions."""

    exceptions = SimpleNamespace(ClientError=_ClientError)

    def __init__(self) -> None:
        self.versions: Dict[str, List[Dict[str, Any]]] = {}
        self.live: Dict[str, str] = {}
        self.direct: Dict[str, str] = {}
        """What clients invoke."""
        self.too_old: List[str] = []
        """Versions that clients can't invoke."""
        self.moves: List[str] = []

    def publish(self, release: str, form: int = FORMAT, without: str = "") -> None:
        """As a deployment does."""
        for which in FUNCTIONS:
            if which != without:
                function = names.function(NAME, which)
                versions = self.versions.setdefault(function, [{"Version": "$LATEST", "Description": ""}])
                number = str(int(versions[-1]["Version"]) + 1 if len(versions) > 1 else 1)
                described = description_of(release).replace("format %d" % FORMAT, "format %d" % form)
                made = "2026-01-%02dT00:00:00.000+0000" % int(number)
                versions.append({"Version": number, "Description": described, "LastModified": made})
                self.live[function] = number

    def get_paginator(self, _: str) -> Any:
        def paginate(**asked: str) -> List[Dict[str, Any]]:
            every = self.versions[asked["FunctionName"]]
            return [{"Versions": every[:2]}, {"Versions": every[2:]}]

        return SimpleNamespace(paginate=paginate)

    def get_alias(self, **asked: str) -> Dict[str, str]:
        assert asked["Name"] == LIVE
        if asked["FunctionName"] not in self.live:
            raise _ClientError("ResourceNotFoundException")
        return {"FunctionVersion": self.live[asked["FunctionName"]]}

    def update_alias(self, **asked: str) -> None:
        if asked["Name"] == names.DIRECT:
            self.direct[asked["FunctionName"]] = asked["FunctionVersion"]
            return
        assert asked["Name"] == LIVE
        self.live[asked["FunctionName"]] = asked["FunctionVersion"]
        self.moves.append(asked["FunctionName"])

    def get_function_configuration(self, **asked: str) -> Dict[str, Any]:
        return {"Environment": {"Variables": {} if asked["Qualifier"] in self.too_old else {INVOKED: "1"}}}

    def delete_function(self, **asked: str) -> None:
        kept = [one for one in self.versions[asked["FunctionName"]] if one["Version"] != asked["Qualifier"]]
        self.versions[asked["FunctionName"]] = kept


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Lambda:
    made = Lambda()
    cloud = SimpleNamespace(client=lambda kind: made)
    monkeypatch.setattr(releases, "Cloud", lambda *_: cloud)
    monkeypatch.setattr(releases, "stored_format", lambda *_: FORMAT)
    return made


def _known(service: Lambda) -> List[str]:
    cloud: Any = SimpleNamespace(client=lambda kind: service)
    return [one.name + "*" * one.is_live for one in releases.releases(cloud, NAME)]


def _cloud(service: Lambda) -> Any:
    return SimpleNamespace(client=lambda kind: service)


@pytest.mark.parametrize(("to", "expected"), [(None, "bbbbbbbb"), ("aaaaaaaa", "aaaaaaaa")])
def test_every_function_goes_back(service: Lambda, to: Optional[str], expected: str) -> None:
    for release in ("aaaaaaaa", "bbbbbbbb", "cccccccc"):
        service.publish(release)
    assert _known(service) == ["cccccccc*", "bbbbbbbb", "aaaaaaaa"]
    done = releases.rollback(NAME, to=to)
    assert done is not None and done.name == expected and done.is_live
    assert sorted(service.moves) == sorted(names.function(NAME, which) for which in FUNCTIONS)
    assert expected + "*" in _known(service)


def test_clients_never_invoke_what_would_take_them_for_a_queue(service: Lambda) -> None:
    for release in ("aaaaaaaa", "bbbbbbbb", "cccccccc"):
        service.publish(release)
    service.too_old = ["1"]
    writer = names.function(NAME, names.WRITER)
    releases.rollback(NAME)
    assert service.direct == {writer: "2"} and service.live[writer] == "2"
    releases.rollback(NAME)
    assert service.direct == {writer: "2"} and service.live[writer] == "1"


def test_twice_is_two_releases_back_and_a_deploy_is_the_newest_again(service: Lambda) -> None:
    for release in ("aaaaaaaa", "bbbbbbbb", "cccccccc"):
        service.publish(release)
    releases.rollback(NAME)
    releases.rollback(NAME)
    assert _known(service) == ["cccccccc", "bbbbbbbb", "aaaaaaaa*"]
    releases.go_live(_cloud(service), NAME, "cccccccc")
    assert _known(service) == ["cccccccc*", "bbbbbbbb", "aaaaaaaa"]


def test_who_does_not_confirm_changes_nothing(service: Lambda) -> None:
    service.publish("aaaaaaaa")
    service.publish("bbbbbbbb")
    assert releases.rollback(NAME, confirm=lambda now, then: (now.name, then.name) != ("bbbbbbbb", "aaaaaaaa")) is None
    assert not service.moves


@pytest.mark.parametrize("to", [None, "dddddddd"])
def test_where_there_is_no_way_back_it_says_so(service: Lambda, to: Optional[str]) -> None:
    service.publish("aaaaaaaa")
    with pytest.raises(DeploymentError, match="there are no others"):
        releases.rollback(NAME, to=to)
    assert not service.moves


def test_a_release_that_some_function_has_no_version_of_is_none(service: Lambda) -> None:
    service.publish("aaaaaaaa", without=names.SWEEPER)
    service.publish("bbbbbbbb")
    assert _known(service) == ["bbbbbbbb*"]
    service.live[names.function(NAME, names.SWEEPER)] = "7"
    with pytest.raises(DeploymentError, match="no release of d is live"):
        releases.rollback(NAME)


def test_what_can_not_read_what_is_stored_does_not_come_back(service: Lambda) -> None:
    service.publish("aaaaaaaa", form=FORMAT - 1)
    service.publish("bbbbbbbb")
    with pytest.raises(DeploymentError, match="format %d, and d is stored in format %d" % (FORMAT - 1, FORMAT)):
        releases.rollback(NAME)
    assert not service.moves


def test_the_oldest_go_and_never_what_is_live(service: Lambda) -> None:
    made = ["%08x" % number for number in range(8)]
    for release in made:
        service.publish(release)
    releases.prune(_cloud(service), NAME, releases.go_live(_cloud(service), NAME, made[1]))
    assert _known(service) == [*made[:2:-1], made[1] + "*"]


def test_before_there_were_releases_there_is_none(service: Lambda) -> None:
    for which in FUNCTIONS:
        service.versions[names.function(NAME, which)] = [{"Version": "$LATEST", "Description": ""}]
    assert _known(service) == []


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({}, True),
        ({"Memory": "512"}, True),
        ({"Memory": "1024"}, False),
        ({"CodeKey": "b"}, False),
        ({"Super": "1"}, False),
    ],
)
def test_another_package_or_setting_is_another_release(changed: Dict[str, str], same: bool) -> None:
    usual = {"CodeKey": "a", "CodeBucket": "x", "Super": ""}
    assert (deploy.release_of(NAME, {**usual, **changed}) == deploy.release_of(NAME, usual)) is same


def test_a_version_of_another_release_is_another_resource() -> None:
    """CloudFormation publishes a version when there is a new resource."""
    one, other = (template(NAME, release=release)["Resources"] for release in ("1" * 8, "2" * 8))
    assert {"WriterVersion11111111"} == {name for name in one.keys() - other.keys() if name.startswith("Writer")}
