"""Nodes from one place to another: between ZooKeepers, deployments and dump files.

A place is read as a stream of `records.Record`, parents before their children, so what is in memory does not grow with
the tree. Rule upheld here: a sequential name that the source gave is never given again by the destination, once a copy
has said that it is done.

Imports: kazoo's client as it is given, layout. Never: fk_kazoo.client, fk_kazoo.cli, fk_backend.providers.
"""
