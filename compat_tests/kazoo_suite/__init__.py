"""kazoo's own tests, unmodified, against a deployment: only the client and the harness's faults are replaced.

Start it with ``python -m compat_tests.kazoo_suite --url URL``; see ``compat_tests/README.md``.

Imports: fk_kazoo.testing, by what it replaces. Never: fk_backend.providers, fk_backend.session, fk_kazoo.gateway.
"""
