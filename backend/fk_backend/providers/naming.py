"""Which names a deployment may have.

Rule: what a deployment may be called is the same on every provider, so that it can move to another one by its URL
alone.

It is AWS's rule, which is the tightest: see `providers.aws.names`. Rule upheld here: it is asked of what is made.
What was made under another name before stays what it is called.
"""

from __future__ import annotations

import re

from ..errors import BadUrl

MAX_CHARS = 20
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,%d}[a-z0-9])?" % (MAX_CHARS - 2))
PACKAGES = "deploy"
"""Not a deployment's name: on AWS the bucket with the packages of all of them would be its bucket, too."""


def is_name(name: str) -> bool:
    """Whether a deployment may be called so."""
    return bool(_NAME.fullmatch(name)) and name != PACKAGES and "-inbox-" not in name + "-"


def checked(scheme: str, name: str) -> str:
    """The name of a deployment that is to be made. BadUrl, which tells one that may be, if there is one like it."""
    if is_name(name):
        return name
    if _NAME.fullmatch(name):
        why = "a deployment's name is not %r and has no -inbox in it" % PACKAGES
    else:
        why = "a deployment's name is 1 to %d lower-case letters, digits and inner hyphens" % MAX_CHARS
    near = re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")
    raise BadUrl("%s://%s: %s%s" % (scheme, name, why, ", as in %s" % near if is_name(near) else ""))
