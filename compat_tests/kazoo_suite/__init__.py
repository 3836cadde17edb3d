"""kazoo's own tests, unmodified, against a deployment: only the client and the harness's faults are replaced.

Start it with ``python -m compat_tests.kazoo_suite --url URL``; see ``compat_tests/README.md``.
"""
