"""Programs that `fk-kazoo verify` starts: one that can be killed, one with somebody else's credentials.

python -m fk_kazoo.verify.programs hold URL PATH
python -m fk_kazoo.verify.programs tenant URL-OF-MINE URL-OF-ANOTHERS NAME ANOTHERS
"""

from __future__ import annotations

import json
import sys
from typing import Any, Callable, Dict, List

from ..client import KazooClient
from ..url import parse

TIMEOUT_S = 10.0


def hold(url: str, path: str) -> int:
    """Takes a lock, says so, and holds it until its standard input ends, or it does."""
    client = KazooClient(url, timeout=TIMEOUT_S)
    client.start(timeout=90)
    client.Lock(path, "holds").acquire()
    print("holding", flush=True)
    sys.stdin.read()
    return 0


def tenant(mine: str, anothers: str, name: str, namespace: str) -> int:
    """What came of each thing that a client tries in its own namespace and in another one, as one line of JSON."""
    found = {"mine, by the client": _tried(lambda: _work(mine))}
    if found["mine, by the client"] == "done":  # else it would be refused for nothing
        found["another's, by the client"] = _tried(lambda: _work(anothers))
    found.update((what, _tried(call)) for what, call in _calls(name, mine, namespace).items())
    print(json.dumps(found), flush=True)
    return 0


def _work(url: str) -> None:
    client = KazooClient(url, timeout=TIMEOUT_S)
    try:
        client.start(timeout=20)
        seen: List[Any] = []
        client.create("/tenant", b"1", ephemeral=True)
        client.get("/tenant", watch=seen.append)
        client.set("/tenant", b"2")
        assert client.get("/tenant")[0] == b"2"
    finally:
        client.stop()
        client.close()


def _calls(name: str, mine: str, namespace: str) -> "Dict[str, Callable[[], Any]]":
    """Requests to AWS, around the client. NAME: the deployment's."""
    from fk_backend.ports import INTEREST, STATE
    from fk_backend.providers.aws import names
    from fk_backend.providers.aws.cloud import Cloud

    cloud = Cloud()
    database, storage = cloud.client("dynamodb"), cloud.client("s3")
    key = {names.PARTITION: {"S": namespace + ":/"}, names.SORT: {"S": "verify"}}
    bucket = names.bucket(name, cloud.account, cloud.region)
    own = parse(mine).namespace
    return {
        "mine, an upload": lambda: storage.put_object(Bucket=bucket, Key="uploads/%s/x" % own, Body=b""),
        "another's, a read of its nodes": lambda: database.get_item(TableName=names.table(name, STATE), Key=key),
        "another's, a registration": lambda: database.put_item(TableName=names.table(name, INTEREST), Item=key),
        "another's, a read of its data": lambda: storage.get_object(Bucket=bucket, Key="data/%s/x" % namespace),
        "another's, an upload": lambda: storage.put_object(Bucket=bucket, Key="uploads/%s/x" % namespace, Body=b""),
        "a write of nodes": lambda: database.put_item(TableName=names.table(name, STATE), Item=key),
    }


def _tried(call: Callable[[], Any]) -> str:
    """``done``, or what was raised."""
    try:
        call()
    except Exception as error:
        return "%s: %s" % (type(error).__name__, error)
    return "done"


if __name__ == "__main__":
    sys.exit(hold(*sys.argv[2:]) if sys.argv[1] == "hold" else tenant(*sys.argv[2:]))
