"""What is secret is shown to nobody: the super user's hash, passwords of sessions, credentials; and who may do what."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Set

import pytest

from fk_backend.mac import inbox_prefix
from fk_backend.providers.aws import policies, template

SECRET = {"Super"}
"""Parameters of the template that are."""


def _made() -> Any:
    return template.template("d", ["one"])


def test_a_parameter_that_is_a_secret_is_not_shown() -> None:
    assert {name for name, how in template.PARAMETERS.items() if how.get("NoEcho")} == SECRET
    assert all("super" not in name.lower() or name in SECRET for name in _made()["Parameters"])
    assert not any(json.dumps({"Ref": secret}) in json.dumps(_made()["Outputs"]) for secret in SECRET)
    assert all(template.PARAMETERS[secret]["Default"] == "" for secret in SECRET)


def test_only_the_writer_is_told_a_secret() -> None:
    told = {
        name
        for name, resource in _made()["Resources"].items()
        if any(json.dumps({"Ref": secret}) in json.dumps(resource) for secret in SECRET)
    }
    assert told == {"WriterFunction"}


def test_nothing_travels_or_lies_in_the_clear() -> None:
    resources = _made()["Resources"]
    (statement,) = resources["BucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    kept = [resource["Properties"] for resource in resources.values() if resource["Type"] == "AWS::SQS::Queue"]
    keys = [(properties["SqsManagedSseEnabled"], properties["KmsMasterKeyId"]) for properties in kept]
    nothing = {"Ref": "AWS::NoValue"}
    own = {"Fn::If": ["HasKey", nothing, True]}, {"Fn::If": ["HasKey", {"Ref": "Key"}, nothing]}
    assert keys == [own] * 3, "SQS's own key, or the customer's"
    assert resources["Bucket"]["Properties"]["BucketEncryption"]
    assert set(resources["Bucket"]["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}


# --- who may do what: the policy of clients, as a table -------------------------------------------


def _allowed(policy: Any) -> Dict[str, Set[str]]:
    """Resource → actions."""
    found: Dict[str, Set[str]] = {}
    for statement in policy["Statement"]:
        assert statement["Effect"] == "Allow" and set(statement) <= {"Sid", "Effect", "Action", "Resource", "Condition"}
        for resource in statement["Resource"]:
            name = resource["Fn::Sub"].replace("${AWS::", "${").rpartition(":")[2]
            found.setdefault(name, set()).update(action.partition(":")[2] for action in statement["Action"])
    return found


BUCKET = "fk-d-${AccountId}-${Region}"


@pytest.mark.parametrize("namespace", [None, "one"])
def test_what_a_client_may_do_is_this_and_no_more(namespace: Any) -> None:
    policy = policies.client("d", namespace)
    reach = "*" if namespace is None else namespace + "/*"
    inboxes = "fk-d-inbox-%s*" % ("" if namespace is None else inbox_prefix(namespace))
    assert _allowed(policy) == {
        "table/fk-d-state": {"BatchGetItem", "GetItem", "Query"},
        "table/fk-d-interest": {"GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem"},
        "fk-d-writes.fifo": {"SendMessage", "GetQueueUrl"},
        "direct": {"InvokeFunction"},  # the alias of the writer
        inboxes: {"CreateQueue", "TagQueue", "DeleteQueue", "ReceiveMessage", "DeleteMessage"},
        "%s/uploads/%s" % (BUCKET, reach): {"PutObject"},
        "%s/data/%s" % (BUCKET, reach): {"GetObject"},
    }
    conditions: List[Any] = [one["Condition"] for one in policy["Statement"] if "Condition" in one]
    if namespace is None:
        assert conditions == []
        return
    state, interest = (one["ForAllValues:StringLike"]["dynamodb:LeadingKeys"] for one in conditions)
    assert (state, interest) == (["one:*", "deployment"], ["one:*"])
    assert all(one["Null"] == {"dynamodb:LeadingKeys": "false"} for one in conditions)
