"""What makes interpreters that an app starts anew take its swapped client along: a directory for ``PYTHONPATH``.

Imports: fk_kazoo.run. Never: kazoo, fk_backend, fk_kazoo.client.
"""
