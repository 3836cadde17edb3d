"""A template's functions become the host's."""

from __future__ import annotations

import pytest

from fk_backend.providers.aws.dev.environment import Settings, Source
from fk_backend.providers.aws.dev.reading import NotUnderstood, functions_in
from fk_backend.providers.aws.dev.resources import Account

ACCOUNT = Account("mine", "123456789012", "http://127.0.0.1:1")
TEMPLATE = {
    "Parameters": {"Level": {"Type": "String", "Default": "INFO"}},
    "Conditions": {
        "IsDebug": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Level"}, "INFO"]}]},
        "On": {"Fn::Equals": [{"Ref": "Level"}, "DEBUG"]},
    },
    "Resources": {
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Fn::Sub": "${AWS::StackName}-writes.fifo"}}},
        "Full": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "FunctionName": "fk-mine-writer",
                "Handler": "a.b",
                "Timeout": 20,
                "MemorySize": 512,
                "ReservedConcurrentExecutions": 3,
                "RecursiveLoop": "Allow",
                "Role": {"Fn::ImportValue": "of no interest here"},
                "Environment": {
                    "Variables": {
                        "LEVEL": {"Ref": "Level"},
                        "URL": {"Fn::Join": ["/", ["x", {"Ref": "AWS::Region"}]]},
                        "NONE": {"Fn::If": ["IsDebug", {"Ref": "AWS::NoValue"}, "not debugging"]},
                    }
                },
            },
        },
        "Plain": {"Type": "AWS::Lambda::Function", "Properties": {"FunctionName": "plain", "Handler": "c.d"}},
        "Mapping": {
            "Type": "AWS::Lambda::EventSourceMapping",
            "Properties": {
                "FunctionName": {"Fn::GetAtt": ["Full", "Arn"]},
                "EventSourceArn": {"Fn::GetAtt": "Queue.Arn"},
                "BatchSize": 5,
                "Enabled": {"Fn::If": ["On", True, False]},
                "FunctionResponseTypes": ["ReportBatchItemFailures"],
            },
        },
        "Second": {
            "Type": "AWS::Lambda::EventSourceMapping",
            "Properties": {"FunctionName": {"Ref": "Plain"}, "EventSourceArn": "arn:aws:sqs:us-east-1:1:other"},
        },
        "Rule": {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "ScheduleExpression": "rate(5 minutes)",
                "Targets": [{"Id": "plain", "Arn": {"Ref": "Plain"}, "Input": '{"a": 1}'}],
            },
        },
        "Off": {
            "Type": "AWS::Lambda::EventSourceMapping",
            "Properties": {"FunctionName": {"Ref": "Plain"}, "EventSourceArn": "arn:x:off", "Enabled": False},
        },
    },
}


def test_functions_and_their_sources() -> None:
    variables = (("LEVEL", "DEBUG"), ("URL", "x/us-east-1"))
    full = Settings("fk-mine-writer", "a.b", 20, 512, variables, (Source("fk-mine-writes.fifo", 5, True),), 3, True)
    plain = Settings("plain", "c.d", 3, 128, (), (Source("other", 10, False),), 10, False, 300, '{"a": 1}')
    assert functions_in(TEMPLATE, ACCOUNT, {"Level": "DEBUG"}) == [full, plain]


@pytest.mark.parametrize(
    "reference",
    [
        "fk-mine-writer",
        "fk-mine-writer:live",
        {"Fn::GetAtt": ["Full", "Arn"]},
        {"Ref": "Live"},
        "arn:aws:lambda:us-east-1:123456789012:function:fk-mine-writer:live",
        "123456789012:function:fk-mine-writer",
    ],
)
def test_how_a_mapping_may_name_its_function(reference: object) -> None:
    """As CreateEventSourceMapping takes it."""
    alias = {"Type": "AWS::Lambda::Alias", "Properties": {"Name": "live", "FunctionName": {"Ref": "Full"}}}
    properties = {"FunctionName": reference, "EventSourceArn": "arn:aws:sqs:us-east-1:1:other"}
    mapping = {"Type": "AWS::Lambda::EventSourceMapping", "Properties": properties}
    template = {**TEMPLATE, "Resources": {"Full": TEMPLATE["Resources"]["Full"], "Live": alias, "Mapping": mapping}}
    (full,) = functions_in(template, ACCOUNT)
    assert full.sources == (Source("other", 10, False),)


def test_conditions_are_judged() -> None:
    full, _ = functions_in(TEMPLATE, ACCOUNT)
    assert dict(full.environment) == {"LEVEL": "INFO", "URL": "x/us-east-1", "NONE": "not debugging"}
    assert full.sources == ()


@pytest.mark.parametrize("rate", ["rate(5 minutes)", "rate(1 hour)", "rate(1 day)", "cron(0 12 * * ? *)", "rate(soon)"])
@pytest.mark.parametrize("state", ["ENABLED", "DISABLED"])
def test_how_often_a_schedule_runs(rate: str, state: str) -> None:
    target = {"Id": "x", "Arn": {"Ref": "Plain"}}
    rule = {"ScheduleExpression": rate, "State": state, "Targets": [target]}
    resources = {"Plain": TEMPLATE["Resources"]["Plain"], "R": {"Type": "AWS::Events::Rule", "Properties": rule}}
    expected = {"rate(5 minutes)": 300.0, "rate(1 hour)": 3600.0, "rate(1 day)": 86400.0}.get(rate)
    if expected is None and state == "ENABLED":
        with pytest.raises(NotUnderstood):
            functions_in({"Resources": resources}, ACCOUNT)
    else:
        (plain,) = functions_in({"Resources": resources}, ACCOUNT)
        assert plain.every_s == (expected if state == "ENABLED" else 0.0) and plain.event == "{}"


@pytest.mark.parametrize("value", [{"Ref": "Missing"}, {"Fn::Transform": "x"}])
def test_what_is_not_understood_is_not_guessed(value: object) -> None:
    properties = {"FunctionName": value, "Handler": "a.b"}
    with pytest.raises(NotUnderstood):
        functions_in({"Resources": {"F": {"Type": "AWS::Lambda::Function", "Properties": properties}}}, ACCOUNT)
