"""fk-kazoo destroy on the emulator: it removes everything, nothing that is in use, and ends what was begun."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fk_backend import layout
from fk_backend.core.initial import initial_nodes
from fk_backend.errors import BadUrl, NotADeployment
from fk_backend.providers.aws import destroy as destroying
from fk_backend.providers.aws import names
from fk_backend.providers.aws.destroy import NotEmpty, destroy
from fk_backend.providers.aws.template import client_policy

from .conftest import NAME, Place


def _node(place: Place, namespace: str, path: str) -> None:
    """The item of a node, as far as it matters here."""
    key, _ = layout.node_keys(namespace, path)
    item = {"p": {"S": key.partition}, "s": {"S": key.sort}, "r": {"N": "1"}}
    place.client("dynamodb").put_item(TableName=names.table(NAME, "state"), Item=item)


def _inbox(place: Place, digit: str) -> str:
    name = names.inbox_queue(NAME, digit * 32)
    place.client("sqs").create_queue(QueueName=name)
    return name


def _left(place: Place) -> Any:
    """What there is but for the bucket of packages, which other deployments share."""
    return [name for name in place.names() if not name.startswith("fk-deploy-")]


def test_everything_goes(place: Place) -> None:
    place.deploy(namespaces=["orders"])
    bucket = names.bucket(NAME, place.account.number, place.account.region)
    for n in range(3):
        place.client("s3").put_object(Bucket=bucket, Key="data/default/%d" % n, Body=b"x")
    _inbox(place, "a"), _inbox(place, "b")
    for path in initial_nodes():
        _node(place, "default", path)
    assert destroy(NAME, progress=place.told.append)
    assert _left(place) == [] and place.stack_status() == ""
    assert not place.client("iam").list_policies(Scope="Local")["Policies"]
    assert not place.client("iam").list_roles()["Roles"]
    assert not place.client("cloudwatch").describe_alarms()["MetricAlarms"]
    with pytest.raises(NotADeployment, match="there is no deployment test"):
        destroy(NAME)
    assert place.deploy().done, "its name is free again"


def test_what_another_deployment_has_stays(place: Place) -> None:
    """There may be one that was called so before that was refused."""
    place.deploy()
    others = [names.writes_queue("test-inbox-x"), names.timer_queue("test-inbox-x"), names.dead_queue("test-inbox")]
    others.append(names.inbox_queue("test-inbox-x", "a" * 32))
    for name in others:
        place.client("sqs").create_queue(
            QueueName=name, Attributes={"FifoQueue": "true"} if name.endswith(".fifo") else {}
        )
    _inbox(place, "a")
    assert destroy(NAME)
    assert _left(place) == sorted(others)


def test_what_has_nodes_stays(place: Place) -> None:
    place.deploy()
    _node(place, "orders", "/app")
    before = place.names()
    with pytest.raises(NotEmpty, match=r"namespace orders .*--force"):
        destroy(NAME)
    assert place.names() == before
    assert destroy(NAME, force=True)
    assert _left(place) == []


def test_a_node_is_found_behind_any_number_of_others(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it is not on the first page."""
    place.deploy()
    for n in range(40):
        _node(place, "ns%d" % n, "/")
    _node(place, "ns7", "/zookeeper/mine")
    cloud = destroying.Cloud()
    paginator = cloud.client("dynamodb").get_paginator("scan")
    paginate = paginator.paginate
    monkeypatch.setattr(
        cloud.client("dynamodb"),
        "get_paginator",
        lambda _: type("Small", (), {"paginate": staticmethod(lambda **more: paginate(**more, Limit=3))}),
    )
    assert list(destroying.used_namespaces(cloud, NAME)) == ["ns7"]


def test_nothing_is_removed_unless_it_is_confirmed(place: Place) -> None:
    place.deploy()
    _inbox(place, "a")
    before = place.names()
    shown = []

    def refuse(remains: destroying.Remains) -> bool:
        shown.append(remains)
        return False

    assert not destroy(NAME, confirm=refuse)
    assert place.names() == before
    assert shown[0].stack and len(shown[0].tables) == 3 and len(shown[0].inboxes) == 1


def test_what_was_begun_can_be_ended(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted before each step, and called again."""
    place.deploy()
    _inbox(place, "a")
    for step in ("_delete_inboxes", "_delete_bucket", "_delete_table"):

        def interrupted(*_: Any) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(destroying, step, interrupted)
            with pytest.raises(KeyboardInterrupt):
                destroy(NAME)
        assert _left(place)
    assert destroy(NAME)
    assert _left(place) == []


def test_a_policy_that_somebody_has_is_taken_from_them(place: Place) -> None:
    place.deploy(namespaces=["orders"])
    identity = place.client("iam")
    identity.create_user(UserName="app")
    trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    identity.create_role(RoleName="app", AssumeRolePolicyDocument=document)
    arn = "arn:aws:iam::%s:policy/" % place.account.number
    orders = arn + client_policy(NAME, place.account.region, "orders")
    identity.attach_user_policy(UserName="app", PolicyArn=orders)
    identity.attach_role_policy(RoleName="app", PolicyArn=arn + client_policy(NAME, place.account.region))
    assert destroy(NAME, progress=place.told.append)
    assert not identity.list_attached_user_policies(UserName="app")["AttachedPolicies"]
    assert not identity.list_attached_role_policies(RoleName="app")["AttachedPolicies"]
    assert any("from the user app" in line for line in place.told)


def test_another_deployment_is_left_alone(place: Place) -> None:
    """Also one whose name begins with this one's."""
    place.deploy()
    queues = place.client("sqs")
    queues.create_queue(QueueName=names.inbox_queue(NAME + "-2", "a" * 32))
    place.client("dynamodb").create_table(
        TableName=names.table(NAME + "-2", "state"),
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    assert destroy(NAME)
    assert _left(place) == [names.inbox_queue(NAME + "-2", "a" * 32), names.table(NAME + "-2", "state")]


def test_a_name_that_is_none(place: Place) -> None:
    with pytest.raises(BadUrl):
        destroy("a_b")
