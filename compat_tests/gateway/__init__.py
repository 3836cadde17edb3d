"""Clients in other languages, and large programs, through gateways; gateways that are killed in turn.

Imports: the gateway, a real ZooKeeper (tests.differential). Never: fk_kazoo.client, fk_kazoo.aio, fk_backend.session.
"""
