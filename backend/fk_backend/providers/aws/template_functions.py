"""The part of the template that acts: functions, their roles and logs, what triggers them.

Rule upheld here: a function has a role of its own, and a queue hands over to it with partial batch responses.
"""

from __future__ import annotations

from typing import Any, Dict, Tuple

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
SOURCES = {names.WRITER: ("Writes", 10), names.HEARTBEAT: ("Timer", 10), names.DEAD_LETTER: ("Dead", 1)}
"""Which queue triggers which function, and how many messages it is given at once."""


def functions(name: str) -> Dict[str, Resource]:
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
        resources[title + "Function"] = _function(name, which)
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


def _function(name: str, which: str) -> Resource:
    title = title_of(which)
    description, timeout_s = FUNCTIONS[which]
    variables: Dict[str, Any] = {"FK_DEPLOYMENT": name, "FK_LOG_LEVEL": {"Ref": "LogLevel"}}
    if which == names.WRITER:
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
            "FunctionName": {"Ref": function + "Function"},
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


def schedule(name: str) -> Dict[str, Resource]:
    target = {"Id": "sweeper", "Arn": {"Fn::GetAtt": ["SweeperFunction", "Arn"]}}
    return {
        "SweeperSchedule": {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "Name": names.function(name, names.SWEEPER),
                "ScheduleExpression": "rate(1 day)",
                "State": {"Fn::If": ["MappingsEnabled", "ENABLED", "DISABLED"]},
                "Targets": [target],
            },
        },
        "SweeperPermission": {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "Action": "lambda:InvokeFunction",
                "FunctionName": {"Ref": "SweeperFunction"},
                "Principal": "events.amazonaws.com",
                "SourceArn": {"Fn::GetAtt": ["SweeperSchedule", "Arn"]},
            },
        },
    }


def title_of(which: str) -> str:
    """``dead-letter`` → ``DeadLetter``."""
    return "".join(part.capitalize() for part in which.split("-"))
