"""Recursive-loop detection as AWS documents it: a function that is invoked too often in one chain is not invoked again.

Source: https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html. The SDK sends the tracing header of its
invocation along (botocore: `add_recursion_detection_header`), SQS keeps it with the message (``AWSTraceHeader``), and
Lambda counts in it how often it invoked a function in that chain, also where other functions come in between. After
about 16 times it stops, unless the function's ``RecursiveLoop`` is ``Allow``; the message stays in its queue.

Not documented, and so ours: the form of the count (``Lineage=function:count|function:count``), and that of a batch the
longest chain counts.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Iterable, Mapping

MOST = 16
"""Invocations of one function in a chain."""
_LINEAGE = re.compile(r"(?:^|;)Lineage=([^;]*)")

Lineage = Dict[str, int]
"""Function → how often it was invoked in the chain so far."""


def lineage_of(header: str) -> Lineage:
    """What a tracing header says; nothing where it says nothing."""
    found = _LINEAGE.search(header)
    counts = (one.rpartition(":") for one in found[1].split("|")) if found else ()
    return {function: int(count) for function, _, count in counts if count.isdecimal()}


def longest(records: Iterable[Mapping[str, Any]]) -> Lineage:
    """Of the records of a batch."""
    most: Lineage = {}
    for one in records:
        for function, count in lineage_of(one["attributes"].get("AWSTraceHeader", "")).items():
            most[function] = max(most.get(function, 0), count)
    return most


def suffix(lineage: Lineage, function: str) -> str:
    """What the tracing header of the function's next invocation in the chain ends with."""
    counts = {**lineage, function: lineage.get(function, 0) + 1}
    return ";Lineage=" + "|".join("%s:%d" % pair for pair in counts.items())
