"""Which server and database a URL names, as libpq reads it where asyncpg would read it otherwise.

The deployment is ``[user@]host[:port][,host[:port]…][/database]``, each part escaped with % as in the URL. What is left
out comes from where libpq has it: PGHOST and its like, a service of the service file, ``~/.pgpass``. Of several hosts,
the primary is used. The password is in no text that is shown.
"""

from __future__ import annotations

import os
from typing import Any, Dict, Mapping
from urllib.parse import quote, urlencode

OWN = ("namespace", "durability", "password", "via")
"""Options that are ours to read."""
VARIABLES = (
    "PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGSERVICE", "PGSERVICEFILE", "PGPASSFILE", "PGSSLMODE",
)  # fmt: skip


class Place:
    """Where a deployment is, and how one gets there."""

    def __init__(self, name: str, options: Mapping[str, str]) -> None:
        self.shown = "postgresql://" + name
        self.durability = options.get("durability", "")
        self._password = options.get("password")
        query = urlencode({key: value for key, value in options.items() if key not in OWN}, quote_via=quote)
        self._dsn = "postgresql://%s%s" % (name, "?" + query if query else "")

    def __repr__(self) -> str:
        return "Place(%s)" % self.shown

    def arguments(self) -> Dict[str, Any]:
        """What `asyncpg.connect` is given."""
        given: Dict[str, Any] = {"dsn": self._dsn, "target_session_attrs": "primary"}
        given["server_settings"] = {"application_name": "fk_kazoo"}
        if self._password is not None:
            given["password"] = self._password
        given["max_cached_statement_lifetime"] = 0
        return given


def identity(name: str) -> str:
    """What two openings share if they are of one deployment: also what the environment adds to its name."""
    return "|".join([name, *(os.environ.get(variable, "") for variable in VARIABLES)])
