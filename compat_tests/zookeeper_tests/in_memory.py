"""A gateway in front of a new memory:// deployment that has a super user, until it is told to end.

python -m compat_tests.zookeeper_tests.in_memory SUPER_DIGEST
"""

from __future__ import annotations

import asyncio
import sys

from fk_backend.core.model import Id
from fk_backend.providers import memory
from fk_backend.providers.clock import SystemClock
from fk_kazoo.gateway.process import serve
from fk_kazoo.gateway.settings import Settings
from fk_kazoo.url import parse


async def main(super_digest: str) -> None:
    """Prints where it listens."""
    memory.make("java", SystemClock(), Id("digest", super_digest))
    url = parse("memory://java")
    await serve(url, Settings(str(url), url.namespace, "127.0.0.1", 0, frozenset("*"), 0))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
