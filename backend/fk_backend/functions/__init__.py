"""What a deployment runs: short functions over ports, each the body of one event source.

    writer       takes a batch of messages, or one direct write; `fk_backend.writer` has its parts
    heartbeat    looks at leases, and has sessions expire
    words        ZooKeeper's four letter words

Imports: core, ports, layout, writer. Never: kazoo, fk_kazoo, fk_backend.providers, fk_backend.session, time, random.
"""
