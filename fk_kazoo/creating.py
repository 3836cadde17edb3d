"""`create_once`: a node that is made once, whatever happens to the connection while it is made.

kazoo raises ConnectionLoss when the answer to a create is lost. Whoever tries again makes a second sequential node, or
gets NodeExistsError for the node that he made himself. Here it is found out whether it was made. Once a client is
connected again, whatever it sent before has been done or never will be; so one look decides.
"""

from __future__ import annotations

import uuid
from typing import Any, Optional

from kazoo.exceptions import ConnectionLoss, NodeExistsError, NoNodeError, SessionExpiredError

from .exceptions import PayloadTooLargeError


class Creation:
    """One node to be made, tried as often as it takes. ``path``: as it will be, without the number of a sequence."""

    def __init__(self, client: Any, path: str, value: bytes, sequence: bool, **options: Any) -> None:
        if sequence:
            directory, _, name = path.rpartition("/")
            path = "%s/_c_%s-%s" % (directory, uuid.uuid4(), name)
        self.client, self.path, self.value, self.sequence, self.options = client, path, value, sequence, options
        self._doubtful = False
        """Whether a try was made of which nobody knows whether it was done."""
        self._refused: Optional[PayloadTooLargeError] = None

    def run(self) -> str:
        """The path of the node. NodeExistsError if somebody else has made it."""
        if not self.sequence and self.client.retry(self.client.exists, self.path):
            raise NodeExistsError
        made: str = self.client.retry(self._try)
        if self._refused is not None:
            raise self._refused
        return made

    def _try(self) -> str:
        found = self._found() if self._doubtful else None
        if found is not None:
            return found
        try:
            made: str = self.client.create(self.path, self.value, sequence=self.sequence, **self.options)
            return made
        except PayloadTooLargeError as error:  # nothing was done, which a retry would not believe
            self._refused = error
            return self.path
        except (ConnectionLoss, SessionExpiredError):
            self._doubtful = True
            raise

    def _found(self) -> Optional[str]:
        """The node, if it was made by a try before."""
        if self.sequence:
            directory, _, prefix = self.path.rpartition("/")
            try:
                names = self.client.get_children(directory or "/")
            except NoNodeError:
                return None
            return next(("%s/%s" % (directory, name) for name in names if name.startswith(prefix)), None)
        try:
            data, stat = self.client.get(self.path)
        except NoNodeError:
            return None
        if self.options.get("ephemeral"):
            return self.path if stat.ephemeralOwner == self.client.client_id[0] else None
        return self.path if data == self.value and not stat.version and not stat.ephemeralOwner else None
