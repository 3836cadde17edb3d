"""Copies nodes between ZooKeepers, deployments and dump files.

    records          a node as it moves; an endpoint is read as a stream of them, parents before children
    client_endpoint  a ZooKeeper or a deployment, through a client; store_reader: the same from a deployment's store
    dump             a dump file as an endpoint
    apply, mirror, compare   write records; follow changes; look for differences

What is in memory does not grow with the tree. Rule upheld here: a sequential name that the source gave is never given
again by the destination, once a copy has said that it is done.

Imports: kazoo's client as it is given, layout. Never: fk_kazoo.client, fk_kazoo.cli, fk_backend.providers.
"""
