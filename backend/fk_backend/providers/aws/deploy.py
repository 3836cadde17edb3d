"""Makes a deployment, or brings it up to date.

Rule upheld here: doing it twice changes nothing, data stays, and what a newer version has written is not touched.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence
from urllib.parse import urlencode

from ...errors import DeploymentError, Protected
from ...layout import check_format
from ...ports import STATE, TABLES
from .. import naming
from . import names, releases
from .cloud import Cloud, absent, explained
from .formats import stored_format, write_format
from .stacks import BODY_LIMIT, Change, Prepared, Progress, Stack
from .template import PARAMETERS, client_policy, template
from .template_data import NOT_PUBLIC, tls_only
from .template_functions import functions

HOLD_DATA = ("AWS::DynamoDB::Table", "AWS::S3::Bucket")


class Outcome(NamedTuple):
    """Of a deployment: what was changed (on a dry run: would be), and whether it was done."""

    url: str
    changes: List[Change]
    done: bool
    policies: Mapping[str, str]
    """ARNs of what clients need: of all namespaces (``""``), or of one."""


def _silent(_: str) -> None:
    """Tells nobody."""


def deploy(
    name: str,
    session: Any = None,
    *,
    package: Path,
    region: Optional[str] = None,
    endpoint_url: Optional[str] = None,
    namespaces: Sequence[str] = (),
    without_namespaces: Sequence[str] = (),
    parameters: Optional[Mapping[str, str]] = None,
    dry_run: bool = False,
    confirm: Callable[[List[Change]], bool] = lambda changes: True,
    progress: Progress = _silent,
) -> Outcome:
    """Makes or updates the deployment ``name`` and returns when it is ready.

    ``session``: a boto3 session; ``package``: the functions' zip. ``namespaces`` get client policies beside those that
    have one already; ``without_namespaces`` lose theirs. ``parameters`` of the template keep their values when they are
    not named. ``confirm`` is asked before anything is changed. ``dry_run``: leaves everything as it is.

    DeploymentError: the message says what to do. UnknownFormat: another version made it.
    """
    cloud = Cloud(session, region, endpoint_url)
    stack = Stack(cloud, name, progress)
    _check_format(cloud, name)
    _check_stack(cloud, name, stack, dry_run)
    before = stack.template().get("Metadata", {}).get("fk-kazoo", {})
    chosen = sorted((set(before.get("namespaces", [])) | set(namespaces)) - set(without_namespaces))
    content = package.read_bytes()
    bucket, key = package_bucket(cloud), "fk_kazoo/%s.zip" % hashlib.sha256(content).hexdigest()
    given = {**(parameters or {}), "CodeBucket": bucket, "CodeKey": key}
    given_super = secrets.token_hex(4) if "Super" in given else before.get("super", "")
    release = release_of(name, {**stack.parameters(), **given, "Super": given_super})
    made = template(name, chosen, release, given_super)
    prepared = stack.prepare(_source(cloud, bucket, made, progress), given, list(made["Parameters"]))
    wanted = False
    try:
        _check_changes(prepared)
        wanted = bool(prepared.changes) and not dry_run and confirm(prepared.changes)
    finally:
        if prepared.changes and not wanted:
            stack.discard(prepared)
    if wanted:
        upload(cloud, bucket, key, content, progress)
        stack.execute(prepared)
    if wanted or not (prepared.changes or dry_run):
        write_format(cloud, name)
        _protect(cloud, name)
        releases.prune(cloud, name, releases.go_live(cloud, name, release))
    return Outcome(url_of(cloud, name), prepared.changes, wanted, _client_policies(cloud, name, chosen))


def release_of(name: str, parameters: Mapping[str, str]) -> str:
    """Which release the functions are of, with that package and these settings: eight hexadecimal digits."""
    content = {**{key: str(one["Default"]) for key, one in PARAMETERS.items()}, **parameters}
    content.pop("CodeBucket", None)
    described = json.dumps([functions(name, ""), content], sort_keys=True)
    return hashlib.sha256(described.encode()).hexdigest()[:8]


def _client_policies(cloud: Cloud, name: str, namespaces: Sequence[str]) -> Dict[str, str]:
    partition = cloud.client("s3").meta.partition
    arn = "arn:%s:iam::%s:policy/" % (partition, cloud.account)
    return {ns or "": arn + client_policy(name, cloud.region, ns) for ns in (None, *namespaces)}


def _source(cloud: Cloud, bucket: str, made: Mapping[str, Any], progress: Progress) -> Dict[str, str]:
    """The template, as CloudFormation takes it: along with the request, or, if it is too long, from the bucket."""
    body = json.dumps(made, separators=(",", ":"))
    if len(body) <= BODY_LIMIT:
        return {"TemplateBody": body}
    key = "fk_kazoo/%s.json" % hashlib.sha256(body.encode()).hexdigest()
    upload(cloud, bucket, key, body.encode(), progress)
    return {"TemplateURL": "%s/%s/%s" % (cloud.client("s3").meta.endpoint_url, bucket, key)}


def url_of(cloud: Cloud, name: str) -> str:
    """What to give to KazooClient."""
    query = {"region": cloud.region, **({"endpoint_url": cloud.endpoint_url} if cloud.endpoint_url else {})}
    return "aws://%s?%s" % (name, urlencode(query, safe=":/"))


def _check_format(cloud: Cloud, name: str) -> None:
    stored = stored_format(cloud, name)
    if stored is not None:
        check_format("aws://" + name, stored)


def table_exists(cloud: Cloud, table: str) -> bool:
    """Whether there is such a table."""
    database = cloud.client("dynamodb")
    with explained():
        try:
            database.describe_table(TableName=table)
        except database.exceptions.ClientError as error:
            if absent(error):
                return False
            raise
    return True


def _protect(cloud: Cloud, name: str) -> None:
    """Nobody deletes the tables before somebody takes that off them, as `destroy` does.

    Not by the template: what CloudFormation made and has to undo, because something else failed, it could not delete.
    DynamoDB Developer Guide, "Using deletion protection to protect your table".
    """
    database = cloud.client("dynamodb")
    for which in TABLES:
        table = names.table(name, which)
        with explained():
            if not database.describe_table(TableName=table)["Table"].get("DeletionProtectionEnabled"):
                database.update_table(TableName=table, DeletionProtectionEnabled=True)


def _check_stack(cloud: Cloud, name: str, stack: Stack, dry_run: bool) -> None:
    status = stack.status()
    if status == "ROLLBACK_COMPLETE" and not dry_run:  # it never came to be; CloudFormation can only delete it
        stack.delete()
    elif status == "REVIEW_IN_PROGRESS":
        return
    elif status.endswith("_IN_PROGRESS"):
        raise Protected("stack %s is being changed (%s): wait until that is done" % (stack.name, status))
    elif status.endswith("_FAILED") or status.startswith("DELETE"):
        raise DeploymentError(
            "stack %s is in state %s: see its events in CloudFormation's console, and repair or delete it there"
            % (stack.name, status)
        )
    if not status and table_exists(cloud, names.table(name, STATE)):
        raise Protected(
            "there are tables of a deployment %s without its stack: remove them (fk-kazoo destroy %s), or import them "
            "into a stack %s with CloudFormation" % (name, name, stack.name)
        )


def _check_changes(prepared: Prepared) -> None:
    """Nothing that holds data may be made anew."""
    lost = [one for one in prepared.changes if one.kind in HOLD_DATA and (one.replacement or one.action == "Remove")]
    if lost:
        raise Protected(
            "this would put an empty %s in the place of one with data; nothing was changed. Was the stack changed by "
            "other means?" % ", ".join(one.resource for one in lost)
        )


# --- the package ----------------------------------------------------------------------------------


def package_bucket(cloud: Cloud) -> str:
    """Where packages of all deployments of this account and region are."""
    return names.package_bucket(cloud.account, cloud.region)


def upload(cloud: Cloud, bucket: str, key: str, content: bytes, progress: Progress) -> None:
    """Puts it there unless it is there. The bucket is made if need be, and must be of this account."""
    storage = cloud.client("s3")
    owner = {"ExpectedBucketOwner": cloud.account}
    with explained():
        try:
            storage.head_object(Bucket=bucket, Key=key, **owner)
            return
        except storage.exceptions.ClientError as error:
            if not absent(error):
                raise
        _make_bucket(cloud, bucket, progress)
        progress("uploading %s, %.1f MB" % (key, len(content) / 1e6))
        storage.put_object(Bucket=bucket, Key=key, Body=content, **owner)


def _make_bucket(cloud: Cloud, bucket: str, progress: Progress) -> None:
    storage = cloud.client("s3")
    owner = {"Bucket": bucket, "ExpectedBucketOwner": cloud.account}
    try:
        storage.head_bucket(**owner)
        return
    except storage.exceptions.ClientError as error:
        if not absent(error):
            raise
    progress("making the bucket %s for packages" % bucket)
    where: Dict[str, Any] = {}
    if cloud.region != "us-east-1":
        where["CreateBucketConfiguration"] = {"LocationConstraint": cloud.region}
    storage.create_bucket(Bucket=bucket, **where)
    tags = [{"Key": key, "Value": value} for key, value in names.tags(naming.PACKAGES).items()]
    storage.put_bucket_tagging(Tagging={"TagSet": tags}, **owner)
    storage.put_public_access_block(PublicAccessBlockConfiguration=NOT_PUBLIC, **owner)
    arn = "arn:%s:s3:::%s" % (storage.meta.partition, bucket)
    storage.put_bucket_policy(Policy=json.dumps(tls_only(arn, arn + "/*")), **owner)
