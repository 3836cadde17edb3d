"""Tests of kazoo that say nothing about a deployment, one by one, each with its own reason. Everything else runs.

A test that would pass without testing anything belongs here as well: it is not counted as passed.
"""

from __future__ import annotations

from typing import Dict

NOT_APPLICABLE: Dict[str, str] = {}
"""Test (file::class::test) → reason."""
