"""What every handler and every asynchronous result have. kazoo's own do not inherit from these: they match by shape."""

from collections.abc import Callable
from typing import Any, Protocol

from kazoo.protocol.states import Callback
from typing_extensions import TypeVar

_T = TypeVar("_T", default=Any)

class IHandler(Protocol):
    """How a client waits, spawns and calls back: with threads, or with the greenlets of gevent or eventlet."""

    @property
    def name(self) -> str: ...
    @property
    def running(self) -> bool: ...
    @property
    def timeout_exception(self) -> type[BaseException]:
        """What a wait that takes too long raises."""
    @property
    def sleep_func(self) -> Callable[[float], Any]:
        """Sleeps, in seconds, as the handler's threads or greenlets do."""
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def select(self, *args: Any, **kwargs: Any) -> tuple[list[Any], list[Any], list[Any]]: ...
    def socket(self) -> Any: ...
    def create_connection(self, *args: Any, **kwargs: Any) -> Any: ...
    def event_object(self) -> Any:
        """A new event, as `threading.Event`."""
    def lock_object(self) -> Any:
        """A new lock, as `threading.Lock`."""
    def rlock_object(self) -> Any:
        """A new lock that its owner may take again, as `threading.RLock`."""
    def async_result(self) -> IAsyncResult[Any]:
        """A new result, not set yet."""
    def spawn(self, func: Callable[..., object], *args: Any, **kwargs: Any) -> Any:
        """Runs the function beside the caller, in a thread or greenlet of its own."""
    def dispatch_callback(self, callback: Callback) -> None:
        """Has the callback called, after all that were dispatched before it."""

class IAsyncResult(Protocol[_T]):
    """What a request will have been answered with. In annotations only: kazoo's class takes no ``[...]`` at runtime."""

    @property
    def value(self) -> _T | None:
        """The answer, or None as long as there is none."""
    @property
    def exception(self) -> BaseException | None:
        """Why it failed, or None."""
    def ready(self) -> bool:
        """Whether it was answered, or failed."""
    def successful(self) -> bool:
        """Whether it was answered."""
    def set(self, value: Any = None) -> None:
        """Answers it."""
    def set_exception(self, exception: BaseException) -> None:
        """Has it fail."""
    def get(self, block: bool = True, timeout: float | None = None) -> _T:
        """The answer. Raises what it failed with, or the handler's timeout_exception after ``timeout`` seconds."""
    def get_nowait(self) -> _T:
        """The answer, or the handler's timeout_exception if there is none yet."""
    def wait(self, timeout: float | None = None) -> bool:
        """Waits, ``timeout`` seconds at most. Whether it is ready."""
    def rawlink(self, callback: Callable[[IAsyncResult[_T]], object]) -> None:
        """Has ``callback(result)`` called as soon as it is ready."""
    def unlink(self, callback: Callable[[IAsyncResult[_T]], object]) -> None:
        """Takes back what `rawlink` was given."""
