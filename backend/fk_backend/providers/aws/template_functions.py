"""The part of the template that acts: functions, their roles and logs, what triggers them.

Rule upheld here: a function has a role of its own, a queue hands over to it with partial batch responses, and what
invokes it invokes the version that is live: `rollback` makes an older one live.
"""

from __future__ import annotations

from typing import Any, Dict, Tuple

from ...layout import FORMAT
from . import names, policies

Resource = Dict[str, Any]

RUNTIME, ARCHITECTURE = "python3.13", "arm64"
FUNCTIONS: Dict[str, Tuple[str, int]] = {
    names.WRITER: ("Puts writes in order, commits them, answers", 20),
    names.HEARTBEAT: ("Expires the sessions of dead clients", 20),
    names.DEAD_LETTER: ("Keeps what the writer failed on, and tells its sender", 20),
    names.SWEEPER: ("Removes what dead clients left behind", 900),
}
"""Description and timeout in seconds."""
SWEEPER_MB = 1792
"""One processor, Lambda Developer Guide, "Configure Lambda function memory": 1,769 MB. It computes for as long as it
waits, and costs the same with less of one for longer."""
LOGGING = {"LogFormat": "JSON", "SystemLogLevel": "WARN", "ApplicationLogLevel": {"Ref": "LogLevel"}}
"""Without a START, END and REPORT of every invocation, which would be a twentieth of what a write costs."""
RECURSIVE = (names.WRITER, names.HEARTBEAT)
"""Whose messages may lead back to them: the writer wakes the heartbeat, which sends the writer what has to end. Lambda
would stop them after 16 rounds: https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html."""
SOURCES = {names.WRITER: ("Writes", 10), names.HEARTBEAT: ("Timer", 10)}
"""Which queue triggers which function, and how many messages it is given at once."""
SCHEDULES = {names.DEAD_LETTER: "rate(5 minutes)", names.SWEEPER: "rate(1 day)"}
"""What runs which function when. Of dead letters there are none, as a rule: a trigger's polls of their queue would cost
more in a month than everything that it finds."""


LIVE = "live"
"""The alias of each function, by which everything invokes it."""
RELEASE = "FK_RELEASE"
"""The variable that says which release a version is of. Without it, a version that is like the last one could not be
published: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-lambda-version.html."""
INVOKED = "FK_INVOKED"
"""The variable of a writer that can be told by its alias that a client invokes it. One without it must not have it."""


def functions(name: str, release: str) -> Dict[str, Resource]:
    """All of it. ``release``: eight hexadecimal digits, others whenever package or settings are others."""
    resources: Dict[str, Resource] = {}
    may = policies.functions(name)
    for which in FUNCTIONS:
        title = title_of(which)
        resources[title + "Log"] = {
            "Type": "AWS::Logs::LogGroup",
            "Properties": {
                "LogGroupName": policies.log_group(name, which),
                "RetentionInDays": {"Ref": "LogRetentionDays"},
            },
            "DeletionPolicy": "Delete",
            "UpdateReplacePolicy": "Delete",
        }
        resources[title + "Role"] = _role(which, may[which])
        resources[title + "Function"] = _function(name, which, release)
        resources[title + "Version" + release] = _version(title, release)
        resources[title + "Live"] = _live(title, release)
        if which == names.WRITER:
            resources[title + "Direct"] = _live(title, release, names.DIRECT)
        if which in SOURCES:
            resources[title + "Mapping"] = _mapping(title, *SOURCES[which])
    return resources


def _role(which: str, policy: policies.Policy) -> Resource:
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
            "Policies": [{"PolicyName": which, "PolicyDocument": policies.with_key(policies.with_tracing(policy))}],
        },
    }


def _version(title: str, release: str) -> Resource:
    """It outlives the next one, so that there is a way back; `deploy` removes the oldest."""
    return {
        "Type": "AWS::Lambda::Version",
        "Properties": {"FunctionName": {"Ref": title + "Function"}, "Description": description_of(release)},
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
    }


def _live(title: str, release: str, alias: str = LIVE) -> Resource:
    return {
        "Type": "AWS::Lambda::Alias",
        "Properties": {
            "FunctionName": {"Ref": title + "Function"},
            "Name": alias,
            "FunctionVersion": {"Fn::GetAtt": [title + "Version" + release, "Version"]},
        },
    }


def description_of(release: str) -> str:
    """What a version is called: ``release 01234567, format 4``."""
    return "release %s, format %d" % (release, FORMAT)


def _function(name: str, which: str, release: str) -> Resource:
    title = title_of(which)
    description, timeout_s = FUNCTIONS[which]
    variables: Dict[str, Any] = {"FK_DEPLOYMENT": name, "FK_LOG_LEVEL": {"Ref": "LogLevel"}, RELEASE: release}
    if which == names.WRITER:
        variables[INVOKED] = "1"
        variables["FK_SUPER"] = {"Fn::If": ["HasSuper", {"Ref": "Super"}, {"Ref": "AWS::NoValue"}]}
    return {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "FunctionName": names.function(name, which),
            "Description": description,
            "Runtime": RUNTIME,
            "Architectures": [ARCHITECTURE],
            "Handler": names.handler(which),
            "Code": {"S3Bucket": {"Ref": "CodeBucket"}, "S3Key": {"Ref": "CodeKey"}},
            "MemorySize": SWEEPER_MB if which == names.SWEEPER else {"Ref": "Memory"},
            "Timeout": timeout_s,
            "TracingConfig": {"Mode": {"Fn::If": ["HasTracing", "Active", "PassThrough"]}},
            "RecursiveLoop": "Allow" if which in RECURSIVE else "Terminate",
            "Role": {"Fn::GetAtt": [title + "Role", "Arn"]},
            "Environment": {"Variables": variables},
            "LoggingConfig": {"LogGroup": {"Ref": title + "Log"}, **LOGGING},
        },
    }


def _mapping(function: str, queue: str, batch: int) -> Resource:
    """FIFO queues have no batching window: a message is handed over at once."""
    return {
        "Type": "AWS::Lambda::EventSourceMapping",
        "Properties": {
            "FunctionName": {"Ref": function + "Live"},
            "EventSourceArn": {"Fn::GetAtt": [queue + "Queue", "Arn"]},
            "BatchSize": batch,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "ScalingConfig": {
                "Fn::If": [
                    "HasMaxConcurrency",
                    {"MaximumConcurrency": {"Ref": "MaxConcurrency"}},
                    {"Ref": "AWS::NoValue"},
                ]
            },
            "Enabled": {"Fn::If": ["MappingsEnabled", True, False]},
        },
    }


def schedules(name: str) -> Dict[str, Resource]:
    """Rules, and what allows them to invoke. The event is a batch of nothing to a release that knew of no schedule."""
    resources: Dict[str, Resource] = {}
    for which, rate in SCHEDULES.items():
        title = title_of(which)
        resources[title + "Schedule"] = {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "Name": names.function(name, which),
                "ScheduleExpression": rate,
                "State": {"Fn::If": ["MappingsEnabled", "ENABLED", "DISABLED"]},
                "Targets": [{"Id": which, "Arn": {"Ref": title + "Live"}, "Input": '{"Records": []}'}],
            },
        }
        resources[title + "Permission"] = {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "Action": "lambda:InvokeFunction",
                "FunctionName": {"Ref": title + "Live"},
                "Principal": "events.amazonaws.com",
                "SourceArn": {"Fn::GetAtt": [title + "Schedule", "Arn"]},
            },
        }
    return resources


def title_of(which: str) -> str:
    """``dead-letter`` → ``DeadLetter``."""
    return "".join(part.capitalize() for part in which.split("-"))
