"""The functions of a CloudFormation template and what triggers them, as the host needs them.

Rule upheld here: what the template says is what runs: nothing is known here about this deployment or another. What
can't be understood is an error, not a guess.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, Optional

from .environment import Settings, Source
from .resources import Account

_NAMED_BY = {"AWS::Lambda::Function": "FunctionName", "AWS::SQS::Queue": "QueueName"}
NO_VALUE = object()
"""``AWS::NoValue``: what has it is left out."""
CONCURRENCY = 10
"""Where the template sets no bound: what is enough for one machine."""


class NotUnderstood(Exception):
    """A template uses something that is not known here."""


def functions_in(
    template: Mapping[str, Any], account: Account, parameters: Optional[Mapping[str, str]] = None
) -> List[Settings]:
    """The template's functions, each with the queues that are mapped to it. NotUnderstood."""
    return _Reader(template, account, parameters or {}).functions()


class _Reader:
    def __init__(self, template: Mapping[str, Any], account: Account, parameters: Mapping[str, str]) -> None:
        self._resources: Mapping[str, Any] = template["Resources"]
        defaults = {name: str(one.get("Default", "")) for name, one in template.get("Parameters", {}).items()}
        place = {"AWS::Region": account.region, "AWS::AccountId": account.number, "AWS::Partition": "aws"}
        self._conditions: Mapping[str, Any] = template.get("Conditions", {})
        self._known = {**defaults, **place, "AWS::StackName": "fk-" + account.name, **parameters}

    def functions(self) -> List[Settings]:
        sources: Dict[str, List[Source]] = {}
        for mapping in self._properties("AWS::Lambda::EventSourceMapping"):
            if mapping.get("Enabled", True):
                function = _function_name(str(mapping["FunctionName"]))
                sources.setdefault(function, []).append(_source(mapping))
        rules = [rule for rule in self._properties("AWS::Events::Rule") if rule.get("State") != "DISABLED"]
        schedules = {_function_name(str(target["Arn"])): (rule, target) for rule in rules for target in rule["Targets"]}
        return [
            _settings(
                function, tuple(sources.get(function["FunctionName"], ())), *schedules.get(function["FunctionName"], ())
            )
            for function in self._properties("AWS::Lambda::Function")
        ]

    def _properties(self, kind: str) -> List[Dict[str, Any]]:
        """Of the resources of a kind, with nothing left to resolve in what matters."""
        return [
            {name: self._value(value) for name, value in one["Properties"].items() if name not in ("Code", "Role")}
            for one in self._resources.values()
            if one["Type"] == kind
        ]

    def _value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [made for made in map(self._value, value) if made is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self._call(name, argument)
        made = {name: self._value(one) for name, one in value.items()}
        return {name: one for name, one in made.items() if one is not NO_VALUE}

    def _call(self, name: str, argument: Any) -> Any:
        if name == "Ref":
            return NO_VALUE if argument == "AWS::NoValue" else self._ref(argument)
        if name == "Fn::GetAtt":
            return self._attribute(*(argument.split(".", 1) if isinstance(argument, str) else argument))
        if name == "Fn::Sub" and isinstance(argument, str):
            return re.sub(r"\$\{([^!}]+)\}", lambda found: self._substitute(found[1]), argument)
        if name == "Fn::Join":
            return argument[0].join(self._value(argument[1]))
        if name == "Fn::If":
            return self._value(argument[1 if self._holds(self._conditions[argument[0]]) else 2])
        raise NotUnderstood("%s: %r" % (name, argument))

    def _holds(self, condition: Mapping[str, Any]) -> bool:
        ((name, argument),) = condition.items()
        if name == "Fn::Equals":
            one, other = self._value(argument)
            return bool(one == other)
        if name == "Fn::Not":
            return not self._holds(argument[0])
        raise NotUnderstood("%s: %r" % (name, argument))

    def _substitute(self, name: str) -> str:
        return self._attribute(*name.split(".", 1)) if "." in name else self._ref(name)

    def _ref(self, name: str) -> str:
        """A parameter's value; of a resource its name."""
        if name in self._known:
            return self._known[name]
        resource = self._resources.get(name)
        if resource is None:
            raise NotUnderstood("Ref: %s" % name)
        if resource["Type"] == "AWS::Lambda::Alias":  # in AWS the alias's own ARN; what runs is its function
            return str(self._value(resource["Properties"]["FunctionName"]))
        property_name = _NAMED_BY.get(resource["Type"])
        return str(self._value(resource["Properties"][property_name])) if property_name else name

    def _attribute(self, name: str, attribute: str) -> str:
        """Only the end of it is of interest: the resource's name."""
        service = self._resources[name]["Type"].split("::")[1].lower()
        where = (self._known["AWS::Region"], self._known["AWS::AccountId"])
        of = (*where, "function") if service == "lambda" else where
        return ":".join(("arn:aws", service, *of, self._ref(name))) if attribute == "Arn" else self._ref(name)


def _function_name(reference: str) -> str:
    """Of what a mapping names its function by: a name or an ARN, whole or in part, with or without an alias.

    https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html
    """
    before, found, after = reference.rpartition("function:")
    return (after if found else before + after).partition(":")[0]


def _source(mapping: Mapping[str, Any]) -> Source:
    report = "ReportBatchItemFailures" in mapping.get("FunctionResponseTypes", ())
    return Source(str(mapping["EventSourceArn"]).rpartition(":")[2], int(mapping.get("BatchSize", 10)), report)


_RATE = re.compile("rate\\(([0-9]+) (minute|hour|day)s?\\)")
_UNITS_S = {"minute": 60.0, "hour": 3600.0, "day": 86400.0}


def _every_s(expression: str) -> float:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html"""
    found = _RATE.fullmatch(expression)
    if found is None:
        raise NotUnderstood("ScheduleExpression: %s" % expression)
    return int(found[1]) * _UNITS_S[found[2]]


def _settings(
    function: Mapping[str, Any],
    sources: Any,
    rule: Optional[Mapping[str, Any]] = None,
    target: Optional[Mapping[str, Any]] = None,
) -> Settings:
    variables = function.get("Environment", {}).get("Variables", {})
    return Settings(
        name=function["FunctionName"],
        handler=function["Handler"],
        timeout_s=float(function.get("Timeout", 3)),
        memory_mb=int(function.get("MemorySize", 128)),
        environment=tuple((name, str(value)) for name, value in variables.items()),
        sources=sources,
        concurrency=int(function.get("ReservedConcurrentExecutions", CONCURRENCY)),
        recursive=function.get("RecursiveLoop", "Terminate") == "Allow",
        every_s=_every_s(str(rule["ScheduleExpression"])) if rule else 0.0,
        event=str(target.get("Input", "{}")) if target else "{}",
    )
