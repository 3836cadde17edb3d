"""Two roles, each with the policy of one namespace: each has its own, and can't reach the other's."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any, Dict

from fk_backend.providers.aws.cloud import Cloud, absent, explained
from fk_backend.providers.aws.template import client_policy

from .context import CheckContext
from .outcome import NotRun, NotShown

NAMESPACES = ("tenant-a", "tenant-b")
POLICY_TIMEOUT_S = 90.0
"""So long a new role or its policy may not be known everywhere (IAM User Guide: changes are eventually consistent)."""
MINE = ("mine, by the client", "mine, an upload")
"""What must be done, the first by keys."""
BY_CLIENT = "another's, by the client"
BY_KEYS = (BY_CLIENT, "another's, a read of its nodes", "another's, a registration")
"""What `dynamodb:LeadingKeys` alone forbids, which emulators don't evaluate."""


def role(name: str, namespace: str) -> str:
    """What it is called."""
    return "fk-%s-verify-%s" % (name, namespace)


def tenants(context: CheckContext) -> Dict[str, Any]:
    """What each of the two may and may not."""
    found = {mine: _tenant(context, mine, anothers) for mine, anothers in (NAMESPACES, NAMESPACES[::-1])}
    if context.account.emulator:
        raise NotShown(
            "it refuses all of DynamoDB to whom dynamodb:LeadingKeys confines; what S3 refuses was looked at, and holds"
        )
    return found


def _tenant(context: CheckContext, mine: str, anothers: str) -> Dict[str, str]:
    cloud, emulated = context.account.cloud, bool(context.account.emulator)
    arn = _made(cloud, context.name, mine)
    credentials = _assumed(context, cloud, arn)
    tried: Dict[str, str] = {}

    def works() -> bool:
        tried.update(_tries(context, credentials, mine, anothers))
        return all(tried[what] == "done" for what in MINE[emulated:])

    try:
        context.eventually(works, "its policy is in force", POLICY_TIMEOUT_S)
    except AssertionError as error:
        raise AssertionError("%s: %s" % (error, tried)) from error
    for what, came in tried.items():
        if what in MINE or (emulated and what in BY_KEYS):
            continue
        denied = came != "done" if what == BY_CLIENT else "AccessDenied" in came or "(403)" in came
        assert denied, "%s, %s: %s" % (mine, what, came)
    return tried


def _made(cloud: Cloud, name: str, namespace: str) -> str:
    """A role for whoever runs this; its ARN."""
    identity = cloud.client("iam")
    partition = cloud.client("s3").meta.partition
    root = "arn:%s:iam::%s" % (partition, cloud.account)
    trust = {"Effect": "Allow", "Principal": {"AWS": root + ":root"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    with explained():
        made = identity.create_role(RoleName=role(name, namespace), AssumeRolePolicyDocument=document)
        policy = "%s:policy/%s" % (root, client_policy(name, cloud.region, namespace))
        identity.attach_role_policy(RoleName=role(name, namespace), PolicyArn=policy)
    return str(made["Role"]["Arn"])


def _assumed(context: CheckContext, cloud: Cloud, arn: str) -> Dict[str, str]:
    """Variables with its credentials. NotRun if whoever runs this can't have them."""
    from botocore.exceptions import ClientError

    until = time.monotonic() + POLICY_TIMEOUT_S
    while True:
        try:
            made = cloud.client("sts").assume_role(RoleArn=arn, RoleSessionName="verify")["Credentials"]
            break
        except ClientError as error:  # the role is not known everywhere yet, or this is the account's root
            if time.monotonic() > until or "root account" in str(error):
                raise NotRun("its role can't be assumed: %s" % error) from error
        context.wait(1.0)
    return {
        "AWS_ACCESS_KEY_ID": made["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"],
        "AWS_SESSION_TOKEN": made["SessionToken"],
        "AWS_REGION": cloud.region,
        "AWS_DEFAULT_REGION": cloud.region,
    }


def _tries(context: CheckContext, credentials: Dict[str, str], mine: str, anothers: str) -> Dict[str, str]:
    """What came of everything that it tries."""
    words = ["tenant", context.at(mine), context.at(anothers), context.name, anothers]
    environment = context.environment(**credentials)
    environment.pop("AWS_PROFILE", None)
    done = subprocess.run(
        [sys.executable, "-m", "fk_kazoo.verify.programs", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=environment,
        text=True,
        timeout=120,
    )
    context.ledger.add(reads=6, writes=8)
    assert done.returncode == 0, done.stderr[-2000:]
    tried: Dict[str, str] = json.loads(done.stdout.strip().splitlines()[-1])
    return tried


def remove(cloud: Cloud, name: str) -> None:
    """The roles, if there are any."""
    identity = cloud.client("iam")
    for namespace in NAMESPACES:
        called = role(name, namespace)
        with explained():
            try:
                for one in identity.list_attached_role_policies(RoleName=called)["AttachedPolicies"]:
                    identity.detach_role_policy(RoleName=called, PolicyArn=one["PolicyArn"])
                identity.delete_role(RoleName=called)
            except identity.exceptions.ClientError as error:
                if not absent(error):
                    raise
