"""Where the packages are; everything else is in setup.cfg.

Rule upheld here: what is installed is ``fk_kazoo`` and ``fk_backend``, and nothing called ``backend`` or ``examples``:
apps have those of their own. Beside them are kazoo's types, as ``kazoo-stubs``, which is where type checkers look for
them (PEP 561).
"""

from __future__ import annotations

from pathlib import Path

from setuptools import find_packages, setup

BORROWED = {
    "fk_kazoo.verify.kazoo_suite": "compat_tests/kazoo_suite",
    "fk_kazoo.verify.recipes": "compat_tests/recipes",
    "fk_kazoo.verify.examples": "examples",
}
"""What `fk-kazoo verify` runs where there is no checkout."""

STUBS = Path("fk_kazoo", "stubs")
TYPES = [found.parent.relative_to(STUBS).parts[1:] for found in STUBS.rglob("__init__.pyi")]

setup(
    packages=[
        *find_packages(include=["fk_kazoo", "fk_kazoo.*"]),
        *find_packages("backend", include=["fk_backend*"]),
        *BORROWED,
        *(".".join(("kazoo-stubs", *parts)) for parts in TYPES),
    ],
    package_dir={
        "": ".",
        "fk_backend": "backend/fk_backend",
        "kazoo-stubs": "fk_kazoo/stubs/kazoo",
        **BORROWED,
    },
)
