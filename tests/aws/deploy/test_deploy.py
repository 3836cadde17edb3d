"""fk-kazoo deploy on the emulator: what it makes, what it leaves alone, what it refuses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, List

import pytest

from fk_backend.errors import BadUrl, DeploymentError, Protected, UnknownFormat
from fk_backend.layout import FORMAT, OLDEST_FORMAT
from fk_backend.providers.aws import deploy as deploying
from fk_backend.providers.aws import names, releases
from fk_backend.providers.aws.cloud import Cloud
from fk_backend.providers.aws.formats import stored_format
from fk_backend.providers.aws.stacks import Change, StackFailed
from fk_backend.providers.aws.template import template
from fk_kazoo.__main__ import main

from .conftest import NAME, Place, made_package


def _item(partition: str, sort: str, rev: int) -> Dict[str, Any]:
    return {"p": {"S": partition}, "s": {"S": sort}, "r": {"N": str(rev)}}


def test_what_a_deployment_is(place: Place) -> None:
    outcome = place.deploy()
    assert outcome.done and outcome.url == place.account.url
    account, region = place.account.number, place.account.region
    assert place.names() == sorted(
        [
            *(names.table(NAME, which) for which in ("state", "sessions", "interest")),
            *(names.function(NAME, which) for which in ("writer", "heartbeat", "dead-letter", "sweeper")),
            *(names.writes_queue(NAME), names.dead_queue(NAME), names.timer_queue(NAME)),
            *(names.bucket(NAME, account, region), "fk-deploy-%s-%s" % (account, region)),
        ]
    )
    assert stored_format(Cloud(), NAME) == FORMAT
    count = len(outcome.changes)
    assert any(re.fullmatch(r"CREATE_COMPLETE StateTable \(\d+ of %d, \d+ s\)" % count, line) for line in place.told)
    assert re.fullmatch(r"CREATE_COMPLETE fk-test \(%d of %d, \d+ s\)" % (count, count), place.told[-1])


def test_twice_changes_nothing(place: Place) -> None:
    place.deploy()
    before, events = place.names(), len(place.told)
    outcome = place.deploy()
    assert (outcome.changes, outcome.done, place.names()) == ([], False, before)
    assert len(place.told) == events, "nothing was uploaded, nothing was changed"


def test_a_dry_run_leaves_no_trace(place: Place) -> None:
    outcome = place.deploy(dry_run=True)
    assert len(outcome.changes) > 25 and not outcome.done
    assert {one.action for one in outcome.changes} == {"Add"}
    assert (place.names(), place.stack_status()) == ([], "")


def test_a_dry_run_of_an_upgrade_leaves_no_trace(place: Place, tmp_path: Path) -> None:
    place.deploy()
    newer = made_package(tmp_path / "newer.zip", "new")
    outcome = place.deploy(dry_run=True, package=newer)
    assert {one.resource for one in outcome.changes if one.kind == "AWS::Lambda::Function"} == {
        "WriterFunction",
        "HeartbeatFunction",
        "DeadLetterFunction",
        "SweeperFunction",
    }
    assert len(place.client("s3").list_objects_v2(Bucket=deploying.package_bucket(Cloud()))["Contents"]) == 1
    assert not place.waiting_changes()
    assert len(place.deploy(package=newer).changes) == len(outcome.changes)


def test_nothing_happens_unless_it_is_confirmed(place: Place) -> None:
    asked = []

    def refuse(changes: Any) -> bool:
        asked.append(len(changes))
        return False

    outcome = place.deploy(confirm=refuse)
    assert asked == [len(outcome.changes)] and not outcome.done
    assert place.stack_status() == ""


def test_an_upgrade_keeps_data(place: Place, tmp_path: Path) -> None:
    place.deploy()
    database, storage = place.client("dynamodb"), place.client("s3")
    bucket = names.bucket(NAME, place.account.number, place.account.region)
    for which in ("state", "sessions", "interest"):
        database.put_item(TableName=names.table(NAME, which), Item=_item("default:/a", "!", 7))
    storage.put_object(Bucket=bucket, Key="data/default/7", Body=b"payload")
    outcome = place.deploy(package=made_package(tmp_path / "newer.zip", "new"), parameters={"Memory": "1024"})
    assert outcome.done
    for which in ("state", "sessions", "interest"):
        found = database.get_item(TableName=names.table(NAME, which), Key={"p": {"S": "default:/a"}, "s": {"S": "!"}})
        assert found["Item"]["r"]["N"] == "7"
    assert storage.get_object(Bucket=bucket, Key="data/default/7")["Body"].read() == b"payload"
    writer = place.client("lambda").get_function_configuration(FunctionName=names.function(NAME, "writer"))
    assert writer["MemorySize"] == 1024


def test_parameters_are_kept_until_they_are_given_again(place: Place) -> None:
    place.deploy(parameters={"Memory": "1024"})
    assert not place.deploy().changes
    assert {one.resource for one in place.deploy(parameters={"LogRetentionDays": "7"}).changes} >= {"WriterLog"}
    writer = place.client("lambda").get_function_configuration(FunctionName=names.function(NAME, "writer"))
    assert writer["MemorySize"] == 1024


def test_policies_of_namespaces_stay_until_they_are_given_up(place: Place) -> None:
    def found_policies() -> Any:
        found = place.client("iam").list_policies(Scope="Local")["Policies"]
        return sorted(one["PolicyName"].partition("client")[2] for one in found)

    place.deploy(namespaces=["orders"])
    place.deploy(namespaces=["stock"])
    assert found_policies() == ["", "-orders", "-stock"]
    assert not place.deploy().changes
    place.deploy(without_namespaces=["orders"])
    assert found_policies() == ["", "-stock"]


def test_very_many_namespaces(place: Place) -> None:
    """More than fits in a request: the template goes by the bucket."""
    many = ["namespace-%d" % n for n in range(60)]
    assert place.deploy(namespaces=many).done
    assert not place.deploy().changes


@pytest.mark.parametrize("other, says", [(FORMAT + 1, "upgrade fk_kazoo"), (OLDEST_FORMAT - 1, "version that made")])
def test_another_format_is_refused_and_not_touched(place: Place, other: int, says: str) -> None:
    place.deploy()
    item = _item(*names.FORMAT_KEY, other)
    place.client("dynamodb").put_item(TableName=names.table(NAME, "state"), Item=item)
    with pytest.raises(UnknownFormat, match=says):
        place.deploy(parameters={"Memory": "1024"})
    writer = place.client("lambda").get_function_configuration(FunctionName=names.function(NAME, "writer"))
    assert writer["MemorySize"] == 512


def test_a_deployment_of_a_version_before_gets_this_ones_number(place: Place) -> None:
    place.deploy()
    item = _item(*names.FORMAT_KEY, OLDEST_FORMAT)
    place.client("dynamodb").put_item(TableName=names.table(NAME, "state"), Item=item)
    place.deploy(parameters={"Memory": "1024"})
    assert stored_format(Cloud(), NAME) == FORMAT


def test_tables_without_a_stack_are_refused(place: Place) -> None:
    place.deploy()
    place.client("cloudformation").delete_stack(StackName="fk-test")
    assert names.table(NAME, "state") in place.names(), "the tables are retained"
    with pytest.raises(Protected, match="fk-kazoo destroy test"):
        place.deploy()


def _never_ready(*arguments: Any) -> Dict[str, Any]:
    """The template with a resource that fails."""
    made = template(*arguments)
    made["Resources"]["Handle"] = {"Type": "AWS::CloudFormation::WaitConditionHandle"}
    waiting = {"Handle": {"Ref": "Handle"}, "Timeout": "1", "Count": 1}
    made["Resources"]["Broken"] = {"Type": "AWS::CloudFormation::WaitCondition", "Properties": waiting}
    return made


def test_what_fails_is_named_and_can_be_tried_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(deploying, "template", _never_ready)
        with pytest.raises(StackFailed, match="Broken: "):
            place.deploy()
    assert place.stack_status() == "ROLLBACK_COMPLETE"
    assert names.table(NAME, "state") not in place.names(), "a table that never held anything does not stay"
    assert place.deploy().done


def test_a_failed_upgrade_leaves_what_was(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.deploy()
    with monkeypatch.context() as patched:
        patched.setattr(deploying, "template", _never_ready)
        with pytest.raises(StackFailed, match="Broken: "):
            place.deploy(parameters={"Memory": "1024"})
    assert place.stack_status() == "UPDATE_ROLLBACK_COMPLETE"
    assert not place.deploy().changes


def test_what_holds_data_is_never_made_anew(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.deploy()
    change = Change("Modify", "StateTable", "AWS::DynamoDB::Table", "fk-test-state", True)
    prepare = deploying.Stack.prepare

    def prepared(*arguments: Any) -> Any:
        return prepare(*arguments)._replace(changes=[change])

    monkeypatch.setattr(deploying.Stack, "prepare", prepared)
    with pytest.raises(DeploymentError, match="StateTable"):
        place.deploy(parameters={"Memory": "1024"})
    assert not place.waiting_changes()


@pytest.mark.parametrize("name", ["", "a_b", "-a", "x" * 21, "a b"])
def test_names_that_are_none(place: Place, name: str) -> None:
    with pytest.raises(BadUrl):
        deploying.deploy(name, package=place.package)


def test_the_mappings_of_an_emulator_can_be_disabled(place: Place) -> None:
    """Deployed so, the emulator itself leaves the queues alone, and another host can run the functions."""
    place.deploy()
    mappings = place.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    assert len(mappings) == 2
    queue = place.account.queue_url(names.timer_queue(NAME))
    place.client("sqs").send_message(QueueUrl=queue, MessageBody="tick")
    found = place.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=3)
    assert [one["Body"] for one in found["Messages"]] == ["tick"]


def test_the_tables_are_protected_and_everything_is_tagged(place: Place) -> None:
    place.deploy()
    database = place.client("dynamodb")
    for which in ("state", "sessions", "interest"):
        assert database.describe_table(TableName=names.table(NAME, which))["Table"]["DeletionProtectionEnabled"]
        with pytest.raises(database.exceptions.ClientError, match="protected"):
            database.delete_table(TableName=names.table(NAME, which))
    (stack,) = place.client("cloudformation").describe_stacks(StackName="fk-" + NAME)["Stacks"]
    assert stack["Tags"] == [{"Key": "fk-kazoo", "Value": "fk-" + NAME}], "AWS passes these on"
    packages = place.client("s3").get_bucket_tagging(Bucket=deploying.package_bucket(Cloud()))
    assert packages["TagSet"] == [{"Key": "fk-kazoo", "Value": "fk-deploy"}]


def test_one_that_was_made_before_is_protected_by_the_next_deploy(place: Place) -> None:
    place.deploy()
    database, table = place.client("dynamodb"), names.table(NAME, "state")
    database.update_table(TableName=table, DeletionProtectionEnabled=False)
    assert not place.deploy().changes
    assert database.describe_table(TableName=table)["Table"]["DeletionProtectionEnabled"]


def test_a_customers_key(place: Place) -> None:
    """As far as the emulator knows one: the functions may use it, and may not any more when it is taken away."""
    key = "arn:aws:kms:%s:%s:key/1234abcd-12ab-34cd-56ef-1234567890ab" % (place.account.region, place.account.number)
    place.deploy(parameters={"Key": key, "MaxConcurrency": "7"})
    assert key in _policy(place, "writer")
    place.deploy(parameters={"Key": ""})
    assert "kms" not in _policy(place, "writer")


def _policy(place: Place, which: str) -> str:
    function = place.client("lambda").get_function_configuration(FunctionName=names.function(NAME, which))
    role = function["Role"].rpartition("/")[2]
    return str(place.client("iam").get_role_policy(RoleName=role, PolicyName=which)["PolicyDocument"])


def test_a_release_is_gone_back_to_and_the_next_deploy_is_the_newest_again(place: Place, tmp_path: Path) -> None:
    """By the commands; what everything invokes is the alias."""

    def live() -> List[str]:
        return [one.name for one in releases.releases(Cloud(), NAME) if one.is_live]

    place.deploy()
    (first,) = live()
    newer = made_package(tmp_path / "newer.zip", "new")
    place.deploy(package=newer)
    (second,) = live()
    assert main(["rollback", NAME, "--yes"]) == 0 and live() == [first]
    assert main(["rollback", NAME, "--yes"]) == 3 and live() == [first]  # there is none before
    assert not place.deploy(package=newer).changes and live() == [second]
    assert main(["rollback", NAME, "--to", first, "--yes"]) == 0 and live() == [first]
    place.deploy(package=made_package(tmp_path / "newest.zip", "newest"))
    known = [one.name for one in releases.releases(Cloud(), NAME)]
    assert len(known) == 3 and known[1:] == [second, first] and live() == known[:1]
    assert main(["rollback", NAME, "--list"]) == 0
    alias = place.client("lambda").get_alias(FunctionName=names.function(NAME, "writer"), Name="live")["AliasArn"]
    for mapping in place.client("lambda").list_event_source_mappings()["EventSourceMappings"]:
        assert mapping["FunctionArn"].endswith(":live")
    assert alias in {
        one["FunctionArn"] for one in place.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    }
