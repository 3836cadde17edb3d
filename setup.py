"""Where the packages are; everything else is in setup.cfg.

Rule upheld here: what is installed is ``fk_kazoo`` and ``fk_backend``, and nothing called ``backend``: apps have one of
their own.
"""

from __future__ import annotations

from setuptools import find_packages, setup

setup(
    packages=find_packages(include=["fk_kazoo", "fk_kazoo.*"]) + find_packages("backend", include=["fk_backend*"]),
    package_dir={"": ".", "fk_backend": "backend/fk_backend"},
)
