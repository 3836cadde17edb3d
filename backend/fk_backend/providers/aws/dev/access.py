"""Credentials of roles and users in an account of the emulator, for when it enforces permissions (ENFORCING).

Rule upheld here: a function gets its own role's permissions and a client its policy's, as on AWS; only whoever deploys
is root.

The emulator evaluates every action on every resource, in transactions too. It does not evaluate
``dynamodb:LeadingKeys``.
"""

from __future__ import annotations

from typing import Any, Dict

from .resources import SECRET, Account

ENFORCING = {"AUTH": "true", "AWS_SECRET_ACCESS_KEY": SECRET}
"""What the emulator has to be started with."""
LIFETIME_S = 12 * 3600


def of_function(account: Account, function: str) -> Dict[str, str]:
    """The variables with the credentials of a deployed function's role."""
    role = account.client("lambda").get_function_configuration(FunctionName=function)["Role"]
    session = {"RoleSessionName": function, "DurationSeconds": LIFETIME_S}
    made = account.client("sts").assume_role(RoleArn=role, **session)["Credentials"]
    return {**_variables(made["AccessKeyId"], made["SecretAccessKey"]), "AWS_SESSION_TOKEN": made["SessionToken"]}


def of_client(account: Account, policy_arn: str) -> Dict[str, str]:
    """The variables with the credentials of a new user who has one policy."""
    directory, user = account.client("iam"), policy_arn.rpartition("/")[2]
    directory.create_user(UserName=user)
    directory.attach_user_policy(UserName=user, PolicyArn=policy_arn)
    made: Dict[str, Any] = directory.create_access_key(UserName=user)["AccessKey"]
    return _variables(made["AccessKeyId"], made["SecretAccessKey"])


def client_policy(account: Account) -> str:
    """The ARN of a deployment's policy for clients."""
    stacks = account.client("cloudformation").describe_stacks(StackName="fk-" + account.name)["Stacks"]
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stacks[0]["Outputs"]}
    return str(outputs["ClientPolicyArn"])


def _variables(key: str, secret: str) -> Dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
