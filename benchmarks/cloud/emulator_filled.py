"""What runs in the emulator's interpreter where a benchmark fills its tables: the emulator, and one operation more.

``Fill`` is asked for like any of DynamoDB: a table, and rows of (p, s, r, b as base64, o), which are put where a
PutItem would have put them, without what DynamoDB checks. Run by path; imports nothing of ours.
"""

from __future__ import annotations

import gc
import json
import runpy
from pathlib import Path
from typing import Any

EMULATOR = Path(__file__).parents[2] / "backend" / "fk_backend" / "providers" / "aws" / "dev" / "emulator_main.py"


def _fill(asked: Any) -> int:
    from ministack.services import dynamodb

    table = dynamodb._tables[asked["table"]]
    gc.disable()  # it would look at all that is there, again and again
    for partition, sort, rev, body, owner in asked["rows"]:
        row = {"p": {"S": partition}, "s": {"S": sort}, "r": {"N": str(rev)}}
        if body:
            row["b"] = {"B": body}
        if owner:
            row["o"] = {"S": owner}
        dynamodb._set_item(table, partition, sort, row)
    gc.freeze()
    gc.enable()
    return len(asked["rows"])


def _filling() -> None:
    from ministack.services import dynamodb

    handle = dynamodb.handle_request

    async def handle_request(method: str, path: str, headers: Any, body: bytes, *more: Any) -> Any:
        if headers.get("x-amz-target", "").endswith(".Fill"):
            count = _fill(json.loads(body))
            return 200, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps({"Filled": count}).encode()
        return await handle(method, path, headers, body, *more)

    dynamodb.handle_request = handle_request


if __name__ == "__main__":
    _filling()
    runpy.run_path(str(EMULATOR), run_name="__main__")
