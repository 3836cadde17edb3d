"""A ZooKeeper client without ZooKeeper servers: kazoo's client on a FaaSKeeper deployment.

Rule upheld here: importing this package imports nothing else, neither kazoo nor anything that gevent or eventlet
would have to patch first. Swap one import, and the rest of an app written for kazoo stays as it is:

    from fk_kazoo.client import KazooClient

Every module of kazoo that an app imports is found here under its own name. ``fk_kazoo.__version__`` is the version
of this package; ``fk_kazoo.version`` mirrors ``kazoo.version``, the release of kazoo whose behaviour you get.

pytest takes whatever comes with a plugin for tests of its user: PYTEST_DONT_REWRITE says that it is none.

Imports: kazoo, fk_backend. Never: boto3, aiobotocore, asyncpg, sqlite3, starlette, uvicorn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fk_kazoo._mirror import attributes

__version__ = "0.1.0"

if not TYPE_CHECKING:
    __getattr__ = attributes(__name__)
