"""ZooKeeper's own Java tests against a gateway. Debian's sources are fetched and built, and nothing of them is kept.

Imports: the gateway. Never: kazoo, fk_kazoo.client, fk_kazoo.aio.
"""
