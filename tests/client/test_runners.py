"""The kit under other runners than pytest: Django's, in parallel, and unittest's for asyncio."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.checkout import ROOT

TESTS = """
import asyncio
import unittest
from contextlib import ExitStack

from django.test import SimpleTestCase

from fk_kazoo.testing import KazooTestCase
from fk_kazoo.testing.kit import Kit


class WithKit(SimpleTestCase):
    def setUp(self):
        stack = ExitStack()
        self.addCleanup(stack.close)
        self.kit = stack.enter_context(Kit())

    def test_a_lock_is_lost(self):
        client, other = self.kit.client(), self.kit.client()
        self.assertTrue(client.Lock("/lock").acquire(timeout=5))
        self.kit.faults.expire(client)
        self.assertTrue(other.Lock("/lock").acquire(timeout=5))

    def test_nobody_elses_nodes(self):
        self.assertIsNone(self.kit.client().exists("/lock"))


class Harness(KazooTestCase):
    def test_something(self):
        self.client.create("/a")
"""

IN_A_LOOP = """

class InALoop(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        stack = ExitStack()
        self.addCleanup(stack.close)
        self.kit = await asyncio.to_thread(stack.enter_context, Kit())

    async def test_many_at_once(self):
        client = await asyncio.to_thread(self.kit.client)
        made = await asyncio.gather(*(asyncio.to_thread(client.create, "/a-", sequence=True) for _ in range(20)))
        self.assertEqual(sorted(made), ["/a-%010d" % number for number in range(20)])
"""


@pytest.mark.parametrize("words", [["unittest"], ["django", "test", "--parallel", "2"]], ids=lambda words: words[0])
def test_they_run(tmp_path: Path, words: list[str]) -> None:
    """Django's can't divide asyncio's test cases among processes: it pickles them."""
    pytest.importorskip("django", reason="Django is not installed")
    (tmp_path / "settings.py").write_text("SECRET_KEY = 'x'\nINSTALLED_APPS = []\nDATABASES = {}\n")
    count, tests = (3, TESTS) if words[0] == "django" else (4, TESTS + IN_A_LOOP)
    (tmp_path / "test_app.py").write_text(tests)
    path = os.pathsep.join([str(tmp_path), str(ROOT), str(ROOT / "backend")])
    environ = {**os.environ, "PYTHONPATH": path, "DJANGO_SETTINGS_MODULE": "settings"}
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0 and "Ran %d tests" % count in done.stderr and "OK" in done.stderr, (
        done.stdout + done.stderr
    )
