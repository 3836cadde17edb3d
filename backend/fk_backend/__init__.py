"""The service behind fk_kazoo: ZooKeeper's semantics, the functions of a deployment, and where it can live.

    core        ZooKeeper's semantics, pure            functions   writer, heartbeat: what a deployment runs
    session     the client's half of the protocol      writer      the writer's parts: step, cache, distributor, …
    ports       the interfaces to the world
    layout      keys and bodies of what is stored      messages    what travels; codec: how both become bytes
    providers   memory, local, postgres, aws           backup, primitives (locks, counters, lists), testing

No arrow runs back up: core ← writer ← functions ← providers, and core ← session. PYTEST_DONT_REWRITE: see fk_kazoo.

Imports: the standard library. Never: kazoo, fk_kazoo.
"""
