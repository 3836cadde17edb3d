"""The CloudFormation template of a deployment: all that it is made of but its inboxes, which clients make and remove.

Rule upheld here: everything is paid by use, nothing that holds data is deleted or replaced with the stack, and names
are those of `names`, so that functions and clients need no configuration.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

from ...errors import BadUrl
from ...layout import FORMAT, is_namespace
from ...ports import TABLES
from . import names, policies, template_alarms, template_dashboard, template_data, template_functions
from .template_functions import title_of

Resource = Dict[str, Any]


def _text(description: str, default: str, **more: Any) -> Dict[str, Any]:
    return {"Type": "String", "Description": description, "Default": default, **more}


RETENTION_DAYS = [
    int(days) for days in "1 3 5 7 14 30 60 90 120 150 180 365 400 545 731 1096 1827 2192 2557 3653".split()
]
"""What CloudWatch offers."""
PARAMETERS: Dict[str, Dict[str, Any]] = {
    "Memory": {
        "Type": "Number",
        "Default": 512,
        "MinValue": 128,
        "MaxValue": 10240,
        "Description": "Memory of the functions in MB; processor comes with it",
    },
    "WarmWriteUnits": {
        "Type": "Number",
        "Default": 0,
        "MinValue": 0,
        "Description": "Write units a second that the table of nodes takes at once; 0: what AWS begins with (4,000)",
    },
    "LogRetentionDays": {
        "Type": "Number",
        "Default": 30,
        "AllowedValues": RETENTION_DAYS,
        "Description": "How long the functions' logs are kept",
    },
    "MaxConcurrency": {
        "Type": "Number",
        "Default": 0,
        "MinValue": 0,
        "MaxValue": 1000,
        "Description": "Instances of a function that a queue may run at once, 2 to 1000; 0: as the account allows",
    },
    "Key": _text(
        "ARN of the KMS key that tables, queues and the bucket are encrypted with; empty: keys of AWS",
        "",
        AllowedPattern="|arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+",
    ),
    "LogLevel": _text(
        "DEBUG: the functions log what becomes of each request; INFO: what is worth a line",
        "INFO",
        AllowedValues=["DEBUG", "INFO", "WARN", "ERROR"],
    ),
    "Tracing": _text(
        "Enabled: the functions' invocations are traced by X-Ray", "Disabled", AllowedValues=["Disabled", "Enabled"]
    ),
    "AlarmTopic": _text("ARN of the SNS topic that alarms go to; empty: none", ""),
    "Super": _text("Identity that may do everything, super:base64 as ZooKeeper has it; empty: none", "", NoEcho=True),
    "Mappings": _text(
        "Disabled: the queues trigger nothing (an emulator whose functions run elsewhere)",
        "Enabled",
        AllowedValues=["Enabled", "Disabled"],
    ),
}
"""What whoever deploys may choose."""
_PACKAGE = {
    "CodeBucket": {"Type": "String", "Description": "Bucket of the functions' package"},
    "CodeKey": {"Type": "String", "Description": "Key of the functions' package"},
}


def template(
    name: str, namespaces: Sequence[str] = (), release: str = "0" * 8, given_super: str = ""
) -> Dict[str, Any]:
    """The template of the deployment ``name``, with a client policy for each of ``namespaces`` beside the general one.

    ``release``: of the functions, eight hexadecimal digits. ``given_super``: another one whenever `Super` was given.
    BadUrl: not a deployment's name, not a namespace, or two namespaces that IAM can't tell apart.
    """
    names.checked(name)
    chosen = checked_namespaces(namespaces)
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "fk_kazoo deployment %s: ZooKeeper's interface without servers" % name,
        "Metadata": {"fk-kazoo": {"format": FORMAT, "namespaces": chosen, "release": release, "super": given_super}},
        "Parameters": {**_PACKAGE, **PARAMETERS},
        "Rules": {
            "MaxConcurrency": {
                "Assertions": [
                    {
                        "Assert": {"Fn::Not": [{"Fn::Equals": [{"Ref": "MaxConcurrency"}, "1"]}]},
                        "AssertDescription": "MaxConcurrency is 0, or 2 to 1000",
                    }
                ]
            }
        },
        "Conditions": {
            "HasAlarmTopic": {"Fn::Not": [{"Fn::Equals": [{"Ref": "AlarmTopic"}, ""]}]},
            "HasKey": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Key"}, ""]}]},
            "HasMaxConcurrency": {"Fn::Not": [{"Fn::Equals": [{"Ref": "MaxConcurrency"}, "0"]}]},
            "HasTracing": {"Fn::Equals": [{"Ref": "Tracing"}, "Enabled"]},
            "HasSuper": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Super"}, ""]}]},
            "HasWarmWriteUnits": {"Fn::Not": [{"Fn::Equals": [{"Ref": "WarmWriteUnits"}, "0"]}]},
            "MappingsEnabled": {"Fn::Equals": [{"Ref": "Mappings"}, "Enabled"]},
        },
        "Resources": {
            **{title_of(which) + "Table": template_data.table(name, which) for which in TABLES},
            **template_data.queues(name),
            **template_data.bucket(name),
            **template_functions.functions(name, release),
            **template_functions.schedules(name),
            **template_alarms.alarms(name),
            **template_dashboard.dashboard(name),
            **_client_policies(name, chosen),
        },
        "Outputs": _outputs(name),
    }


def checked_namespaces(namespaces: Sequence[str]) -> List[str]:
    """Sorted, each once. BadUrl."""
    chosen = sorted(set(namespaces))
    for one in chosen:
        if not is_namespace(one):
            raise BadUrl("%r is no namespace: 1 to 64 letters, digits, dots, underscores and hyphens" % one)
    if len({one.lower() for one in chosen}) < len(chosen):
        raise BadUrl("namespaces differ by case alone: IAM can't have a policy for each of %s" % ", ".join(chosen))
    return chosen


# --- clients, outputs -----------------------------------------------------------------------------


def _client_policies(name: str, namespaces: Sequence[str]) -> Dict[str, Resource]:
    def policy(namespace: Optional[str]) -> Resource:
        where = "every namespace" if namespace is None else "the namespace " + namespace
        return {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {
                "ManagedPolicyName": {"Fn::Sub": client_policy(name, "${AWS::Region}", namespace)},
                "Description": "fk_kazoo clients of %s in %s" % (name, where),
                "PolicyDocument": policies.with_key(policies.client(name, namespace)),
            },
        }

    resources = {"ClientPolicy": policy(None)}
    for one in namespaces:
        resources["ClientPolicy" + one.encode().hex()] = policy(one)
    return resources


def client_policy(name: str, region: str, namespace: Optional[str] = None) -> str:
    """What the managed policy is called. IAM knows no regions, so the name has it."""
    return "fk-%s-%s-client%s" % (name, region, "" if namespace is None else "-" + namespace)


def _outputs(name: str) -> Dict[str, Any]:
    def output(description: str, value: Any) -> Dict[str, Any]:
        return {"Description": description, "Value": value}

    return {
        "Url": output("For KazooClient and FK_KAZOO_URL", {"Fn::Sub": "aws://%s?region=${AWS::Region}" % name}),
        "BucketName": output("Payloads above the inline threshold", {"Ref": "Bucket"}),
        "WritesQueueUrl": output("What clients send to", {"Ref": "WritesQueue"}),
        "ClientPolicyArn": output("For clients of every namespace", {"Ref": "ClientPolicy"}),
    }
