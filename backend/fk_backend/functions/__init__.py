"""What a deployment does: short functions over ports, each the body of one event source.

    writer       orders and commits; step, loading, reservation, large and journal are its parts
    distributor  fans a commit out: answers, events, ends of sessions; watch finds who watches
    heartbeat    looks at leases, and has sessions expire
    words        ZooKeeper's four letter words

Imports: core, ports, layout, messages. Never: kazoo, fk_kazoo, fk_backend.providers, fk_backend.session, time, random.
"""
