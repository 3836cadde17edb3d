import logging
from collections.abc import Callable
from typing import Any, TypeVar

from kazoo.exceptions import KazooException
from typing_extensions import ParamSpec

_P = ParamSpec("_P")
_T = TypeVar("_T")

log: logging.Logger

class ForceRetryError(Exception):
    """Raised by a function that wants to be tried again."""

class RetryFailedError(KazooException):
    """It was tried as often, or as long, as allowed."""

class InterruptedError(RetryFailedError):
    """The retry's ``interrupt`` said so."""

class KazooRetry:
    """Calls a function again while it fails with what may pass.

    That is ConnectionLoss, OperationTimeoutError, ForceRetryError, and SessionExpiredError unless told otherwise.
    """

    RETRY_EXCEPTIONS: tuple[type[Exception], ...]
    EXPIRED_EXCEPTIONS: tuple[type[Exception], ...]
    max_tries: int | None
    delay: float
    backoff: float
    max_jitter: float
    max_delay: float
    deadline: float | None
    sleep_func: Callable[[float], Any]
    retry_exceptions: tuple[type[Exception], ...]
    interrupt: Callable[[], bool] | None

    def __init__(
        self,
        max_tries: int | None = 1,
        delay: float = 0.1,
        backoff: float = 2,
        max_jitter: float = 0.4,
        max_delay: float = 60.0,
        ignore_expire: bool = True,
        sleep_func: Callable[[float], Any] = ...,
        deadline: float | None = None,
        interrupt: Callable[[], bool] | None = None,
    ) -> None:
        """All times are in seconds.

        ``max_tries``: None or -1 for no end. ``delay``: before the second try, then ``backoff`` times longer each time,
        up to ``max_delay``; ``max_jitter``: by how much of it chance changes it. ``ignore_expire``: whether a session
        that expired is retried too. ``deadline``: after which nothing is tried any more. ``interrupt``: asked while
        waiting, ends it if true.
        """
    def reset(self) -> None:
        """Begins to count anew."""
    def copy(self) -> KazooRetry:
        """Another one with the same settings."""
    def __call__(self, func: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """What the function returns at last. RetryFailedError if it never succeeds; other errors as they are."""
