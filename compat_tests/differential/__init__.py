"""The same programs on a deployment and on a real ZooKeeper 3.8, whose answers were recorded: no Java is needed.

python -m compat_tests.differential --url local://mine

Imports: kazoo, both clients. Never: fk_backend.providers, fk_backend.session, fk_kazoo.gateway.
"""
