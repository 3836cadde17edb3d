"""kazoo's recipes on a deployment while sessions expire, networks part and clients vanish: each keeps what it is for.

python -m compat_tests.recipes --url local://mine

Imports: kazoo, the client, the simulation. Never: fk_backend.providers, fk_kazoo.gateway, fk_kazoo.aio.
"""
