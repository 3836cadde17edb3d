"""What is checked, in which order: one after the other what is measured, side by side what takes minutes."""

from __future__ import annotations

from typing import List

from . import compatibility, load, measuring, slow_checks, tenants, usage
from .outcome import Check

LATENCIES = "all of it: latencies are the emulator's"
SUITE = "kazoo's tests"
BILL = "all of it: nothing is billed"

IDLE = Check(
    "idleness",
    "after a quarter of an hour in which nothing happens a client writes, and its session is well",
    slow_checks.idleness,
    "environments that AWS freezes or ends, and connections that die meanwhile",
)
"""In a deployment of its own, from the beginning on."""
MEASURED: List[Check] = [
    Check("services", "the requests it is made of, measured", measuring.services, LATENCIES),
    Check("calls", "calls of the client, measured", measuring.client_calls, LATENCIES),
    Check("paid calls", "sets and gets that the bill is compared for", measuring.paid_calls, BILL),
    Check(
        "cold starts",
        "a write is done when every environment of the writer is gone",
        measuring.cold_starts,
        "how long Lambda takes to start one",
    ),
]
"""Each alone: nothing else runs in their deployment."""
TOGETHER: List[Check] = [
    Check(
        "dead holder",
        "the lock of a process that held it for five minutes and is killed goes to who waits for it",
        slow_checks.dead_holder,
        "how long Lambda goes on with ticks (its protection from recursive loops is imitated)",
    ),
    Check(
        "same message",
        "a message that is sent again within five minutes is done once; later, it hurts nobody",
        slow_checks.same_message,
        "how long SQS remembers, and what it does at the end of it",
    ),
    Check("bill", "what CloudWatch counts costs what fk-kazoo cost says", usage.used, BILL),
    Check("100 connects", "100 clients connect", load.connects, "queues that may be missing for a second, and quotas"),
    Check(
        "mixed groups",
        "namespaces that share batches write in order, whatever somebody sends to one of them",
        load.mixed_groups,
        "how Lambda's pollers put batches together",
    ),
    Check(
        "poison",
        "a dead letter is kept, and a message that nobody understands holds nobody up",
        load.poison,
        "SQS's own redrive, which takes ten minutes of failures and is in no run",
    ),
    Check(
        "torn reads",
        "readers of a node that is made anew in one multi see no state that never was",
        load.torn_reads,
        "DynamoDB reads a page item by item; the emulator's queries are atomic",
    ),
    Check(
        "two roles",
        "the role of one namespace can't reach another one's",
        tenants.tenants,
        "dynamodb:LeadingKeys, which the emulator does not evaluate",
    ),
    Check("demo", "a fleet loses its leader and goes on", compatibility.demo, "what comes of real latencies"),
    Check(
        SUITE,
        "a selection of kazoo's own tests passes",
        compatibility.suite,
        "what comes of real latencies and throttling",
    ),
    Check(
        "recipes",
        "kazoo's recipes hold while sessions expire, networks part and processes are killed",
        compatibility.recipes,
        "what comes of real latencies and throttling",
    ),
]
LANES: List[List[Check]] = [
    [one for one in TOGETHER if one.name == "dead holder"],
    [one for one in TOGETHER if one.name in ("same message", "bill")],  # CloudWatch's figures come late, too
    [one for one in TOGETHER if one.name in ("100 connects", "mixed groups", "poison", SUITE)],
    [one for one in TOGETHER if one.name in ("torn reads", "two roles", "demo", "recipes")],
]
"""Those of one lane one after the other, what takes minutes last: what waits waits beside everything else."""
ALL = [IDLE, *MEASURED, *TOGETHER]
