"""kazoo's exceptions, and those of ours that kazoo has no word for.

Rule upheld here: every name of ``kazoo.exceptions`` is the very same class, and each of ours is a subclass of the
class that an app written for kazoo already catches:

    KazooException
    ├── ConfigurationError
    │   └── DeploymentConfigurationError    the deployment can't be used as it was named
    ├── LockLostError                       a lock is not held, or may be held by somebody else
    ├── ReentrantLockError                  who asks for the lock has it already, and would wait for itself
    └── ZookeeperError
        ├── SystemZookeeperError
        │   └── StorageFullError            definite: nothing was changed
        └── ConnectionLoss                  unknown outcome, with one exception:
            ├── RequestDeadLetteredError    unknown outcome: the service gave it up
            └── PayloadTooLargeError        definite: nothing was changed
                ├── PathTooLongError
                └── TransactionTooLargeError

Importing this module registers ours in kazoo's table of error codes (``EXCEPTIONS``), so that kazoo's own code
raises them, inside transactions too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import kazoo.exceptions as _kazoo
from kazoo.exceptions import *  # noqa: F403
from kazoo.exceptions import EXCEPTIONS as EXCEPTIONS
from kazoo.exceptions import ConfigurationError as ConfigurationError
from kazoo.exceptions import ConnectionLoss as ConnectionLoss
from kazoo.exceptions import KazooException as KazooException
from kazoo.exceptions import SystemZookeeperError as SystemZookeeperError

STORAGE_FULL_CODE = -1001
PAYLOAD_TOO_LARGE_CODE = -1002
DEAD_LETTERED_CODE = -1003
PATH_TOO_LONG_CODE = -1004
TRANSACTION_TOO_LARGE_CODE = -1005


class StorageFullError(SystemZookeeperError):
    """The deployment had no room for the change, or may not be written to. Definite: nothing was changed.

    Free some space (or make the deployment writable) and ask again; a retry by itself does not help.
    """

    code = STORAGE_FULL_CODE

    def __init__(self, *args: object) -> None:
        super().__init__(*args or ("the deployment has no room for this change or is read-only; nothing was changed",))


class PayloadTooLargeError(ConnectionLoss):
    """The request is over the size limit (ZooKeeper's 1 MB). Definite: nothing was changed.

    A ConnectionLoss, because that is what an app gets when a ZooKeeper server drops the connection on an oversized
    packet, and so what it catches; unlike any other ConnectionLoss its outcome is known.
    """

    code = PAYLOAD_TOO_LARGE_CODE

    def __init__(self, *args: object) -> None:
        super().__init__(*args or ("the request is over the size limit of 1 MB; nothing was changed",))


class PathTooLongError(PayloadTooLargeError):
    """The deployment's store has no key that is so long (docs/aws.md, "Limits"). Definite: nothing was changed."""

    code = PATH_TOO_LONG_CODE

    def __init__(self, *args: object) -> None:
        super().__init__(*args or ("the path is too long for this deployment's store; nothing was changed",))


class TransactionTooLargeError(PayloadTooLargeError):
    """The deployment's store commits less than that at once (docs/aws.md, "Limits"). Definite: nothing was changed.

    Several smaller transactions are no longer one; whether they may be is for the app to say.
    """

    code = TRANSACTION_TOO_LARGE_CODE

    def __init__(self, *args: object) -> None:
        message = "the transaction changes more than this deployment's store commits at once; nothing was changed"
        super().__init__(*args or (message,))


class RequestDeadLetteredError(ConnectionLoss):
    """The service failed on this request repeatedly and set it aside. Whether it was done is unknown.

    It may have been committed, and what failed came after that. So it is a ConnectionLoss, which recipes and retries
    treat as such; the connection goes on. The request is kept with the deployment for whoever operates it.
    """

    code = DEAD_LETTERED_CODE

    def __init__(self, *args: object) -> None:
        message = "the service failed on this request repeatedly and set it aside; whether it was done is unknown"
        super().__init__(*args or (message,))


class DeploymentConfigurationError(ConfigurationError):
    """The deployment can't be used as it was named. The message says what to do about it."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args or ("the deployment can't be used as it was named: check its URL and FK_KAZOO_URL",))


class LockLostError(KazooException):
    """The lock, lease or leadership is not held, or may be held by somebody else. Nothing was sent for this call."""


class ReentrantLockError(KazooException):
    """Who asks for the lock has it already: it would wait for itself, for ever. kazoo's locks are not re-entrant."""


EXCEPTIONS[STORAGE_FULL_CODE] = StorageFullError
EXCEPTIONS[PAYLOAD_TOO_LARGE_CODE] = PayloadTooLargeError
EXCEPTIONS[DEAD_LETTERED_CODE] = RequestDeadLetteredError
EXCEPTIONS[PATH_TOO_LONG_CODE] = PathTooLongError
EXCEPTIONS[TRANSACTION_TOO_LARGE_CODE] = TransactionTooLargeError

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Underscored names of kazoo's module, which a star import leaves out."""
        try:
            return getattr(_kazoo, name)
        except AttributeError:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
