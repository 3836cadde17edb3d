"""Releases of a deployment's functions: what is live, what was, and the way back.

Each change of package or settings publishes a version of every function; the alias that everything invokes says which
one is live. Rule upheld here: all functions are of one release, and what is stored can be read by the one that is live.
https://docs.aws.amazon.com/lambda/latest/dg/configuration-aliases.html
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from ...errors import NotFound, Protected
from . import names
from .cloud import Cloud, absent, explained
from .formats import stored_format
from .template_functions import FUNCTIONS, INVOKED, LIVE

KEPT = 5
"""Releases that there is a way back to, the one that is live included."""
_DESCRIBED = re.compile(r"release ([0-9a-f]{8}), format (\d+)")


class Release(NamedTuple):
    """``versions``: of each function, by `names.WRITER` and so on. ``format``: of the tables that it works on."""

    name: str
    format: int
    made: str
    """When, as AWS has it: 2026-11-29T15:00:00."""
    is_live: bool
    versions: Dict[str, str]


def releases(cloud: Cloud, name: str) -> List[Release]:
    """All that every function has a version of, the newest first. DeploymentError."""
    found: Dict[str, Dict[str, Any]] = {}
    live: Dict[str, str] = {}
    for which in FUNCTIONS:
        for version in _versions(cloud, name, which):
            match = _DESCRIBED.fullmatch(version.get("Description", ""))
            if match:
                found.setdefault(match[1], {"format": int(match[2])})[which] = version
        live[which] = live_version(cloud, name, which) or ""
    made = [
        Release(
            release,
            versions["format"],
            versions[names.WRITER]["LastModified"][:19],
            all(versions[which]["Version"] == live[which] for which in FUNCTIONS),
            {which: versions[which]["Version"] for which in FUNCTIONS},
        )
        for release, versions in found.items()
        if all(which in versions for which in FUNCTIONS)
    ]
    return sorted(made, key=lambda release: int(release.versions[names.WRITER]), reverse=True)


def rollback(
    name: str,
    session: Any = None,
    *,
    to: Optional[str] = None,
    region: Optional[str] = None,
    endpoint_url: Optional[str] = None,
    confirm: Callable[[Release, Release], bool] = lambda now, then: True,
) -> Optional[Release]:
    """Makes another release live: ``to``, or else the one before that is live. None if that was not confirmed.

    It takes seconds: nothing is deployed. Parameters of the template, tables, queues and permissions stay as they are.
    DeploymentError: there is none, or it can't read what is stored.
    """
    cloud = Cloud(session, region, endpoint_url)
    known = releases(cloud, names.checked(name))
    now = next((release for release in known if release.is_live), None)
    if now is None:
        raise NotFound("no release of %s is live with all of its functions: fk-kazoo deploy %s" % (name, name))
    then = _chosen(name, known, now, to)
    stored = stored_format(cloud, name)
    if stored is not None and stored != then.format:
        raise Protected(
            "release %s reads and writes format %d, and %s is stored in format %d: it can't be gone back to; "
            "fk-kazoo restore makes a deployment of an earlier backup" % (then.name, then.format, name, stored)
        )
    if not confirm(now, then):
        return None
    make_live(cloud, name, then)
    return then._replace(is_live=True)


def _chosen(name: str, known: List[Release], now: Release, to: Optional[str]) -> Release:
    if to is not None:
        found = next((release for release in known if release.name == to), None)
    else:
        found = next(iter(known[known.index(now) + 1 :]), None)
    if found is None:
        others = ", ".join(release.name for release in known if release is not now) or "there are no others"
        raise NotFound("%s has no %s (%s)" % (name, to or "release before %s" % now.name, others))
    return found


def go_live(cloud: Cloud, name: str, release: str) -> List[Release]:
    """The release that was just deployed, also where CloudFormation had nothing to change: after a rollback.

    All releases, as they are then.
    """
    known = releases(cloud, name)
    deployed = next((one for one in known if one.name == release), None)
    if deployed is None or deployed.is_live:
        return known
    make_live(cloud, name, deployed)
    return [one._replace(is_live=one is deployed) for one in known]


def prune(cloud: Cloud, name: str, known: List[Release]) -> None:
    """Removes the versions of all but the newest releases, and never what is live."""
    client = cloud.client("lambda")
    for release in known[KEPT:]:
        if not release.is_live:
            for which, version in release.versions.items():
                with explained():
                    client.delete_function(FunctionName=names.function(name, which), Qualifier=version)


def make_live(cloud: Cloud, name: str, release: Release) -> None:
    """From now on every function is the version of it that is of this release.

    But for clients' invocations, where a release is too old for them: it would take what they send for batches.
    """
    client = cloud.client("lambda")
    for which in FUNCTIONS:
        function, version = names.function(name, which), release.versions[which]
        with explained():
            client.update_alias(FunctionName=function, Name=LIVE, FunctionVersion=version)
            if which == names.WRITER and _is_invoked(client, function, version):
                client.update_alias(FunctionName=function, Name=names.DIRECT, FunctionVersion=version)


def _is_invoked(client: Any, function: str, version: str) -> bool:
    settings = client.get_function_configuration(FunctionName=function, Qualifier=version)
    return INVOKED in settings.get("Environment", {}).get("Variables", {})


def live_version(cloud: Cloud, name: str, which: str) -> Optional[str]:
    """None: it has no alias yet."""
    client = cloud.client("lambda")
    with explained():
        try:
            answer = client.get_alias(FunctionName=names.function(name, which), Name=LIVE)
        except client.exceptions.ClientError as error:
            if absent(error):
                return None
            raise
    return str(answer["FunctionVersion"])


def _versions(cloud: Cloud, name: str, which: str) -> List[Dict[str, Any]]:
    found: List[Dict[str, Any]] = []
    with explained():
        pages = cloud.client("lambda").get_paginator("list_versions_by_function")
        for page in pages.paginate(FunctionName=names.function(name, which)):
            found.extend(page["Versions"])
    return found
