"""ZooKeeper's semantics. Rule: all of it is pure. No I/O, clock, randomness, thread or cloud library.

    model, requests, snapshot   nodes and sessions, what is asked, what is read and changed
    apply                       the one way in for writes; tree, multi and sessions do the work on an overlay
    needs                       what can be loaded before the first attempt
    reads, watches              what a read shows, what fires a watch
    paths, acls, addresses,
    names, owners, stats,
    initial                     ZooKeeper's rules, one each

So a run can be repeated. Every module says what it is, and the rule that it upholds.

Imports: itself. Never: kazoo, fk_kazoo, fk_backend.ports, fk_backend.layout, fk_backend.functions, asyncio, time.
"""
