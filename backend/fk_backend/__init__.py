"""The service behind fk_kazoo, of which nothing knows kazoo.

    core        ZooKeeper's semantics, pure            functions   writer, distributor, heartbeat: a deployment's work
    session     the client's half of the protocol      ports       the interfaces to the world
    layout, messages, codec   keys, bodies, what travels
    providers   where a deployment lives               backup, primitives, testing

No arrow runs back up: core ← functions, session ← providers. PYTEST_DONT_REWRITE: see fk_kazoo.

Imports: the standard library. Never: kazoo, fk_kazoo.
"""
