"""Mistakes."""

from __future__ import annotations

from .edited import Family

family = Family("local")
