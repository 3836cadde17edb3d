"""No deadlines: how long an example takes says something about the machine, nothing about the core."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
