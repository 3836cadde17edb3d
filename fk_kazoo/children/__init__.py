"""A directory for ``PYTHONPATH``: interpreters that an app starts swap their kazoo client by it (``fk-kazoo run``).

Imports: fk_kazoo.run. Never: kazoo, fk_backend, fk_kazoo.client.
"""
