from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from kazoo.interfaces import IAsyncResult
from typing_extensions import ParamSpec

_P = ParamSpec("_P")
_R = TypeVar("_R")
_T = TypeVar("_T")

HAS_FNCTL: bool

class AsyncResult(Generic[_T]):
    """What a request will have been answered with; see `kazoo.interfaces.IAsyncResult`."""

    value: _T | None

    def __init__(
        self, handler: Any, condition_factory: Callable[[], Any], timeout_factory: Callable[[], BaseException]
    ) -> None: ...
    def ready(self) -> bool: ...
    def successful(self) -> bool: ...
    @property
    def exception(self) -> BaseException | None: ...
    def set(self, value: Any = None) -> None: ...
    def set_exception(self, exception: BaseException) -> None: ...
    def get(self, block: bool = True, timeout: float | None = None) -> _T: ...
    def get_nowait(self) -> _T: ...
    def wait(self, timeout: float | None = None) -> bool: ...
    def rawlink(self, callback: Callable[[IAsyncResult[_T]], object]) -> None: ...
    def unlink(self, callback: Callable[[IAsyncResult[_T]], object]) -> None: ...

def create_socket_pair(module: Any, port: int = 0) -> tuple[Any, Any]: ...
def create_tcp_socket(module: Any) -> Any: ...
def create_tcp_connection(
    module: Any,
    address: tuple[str, int],
    hostname: str | None = None,
    timeout: float | None = None,
    use_ssl: bool = False,
    ca: str | None = None,
    certfile: str | None = None,
    keyfile: str | None = None,
    keyfile_password: str | None = None,
    verify_certs: bool = True,
    check_hostname: bool = False,
    options: Any = None,
    ciphers: str | None = None,
) -> Any: ...
def fileobj_to_fd(fileobj: Any) -> int: ...
def selector_select(
    rlist: Iterable[Any],
    wlist: Iterable[Any],
    xlist: Iterable[Any],
    timeout: float | None = None,
    selectors_module: Any = ...,
) -> tuple[list[Any], list[Any], list[Any]]: ...
def capture_exceptions(
    async_result: IAsyncResult[Any],
) -> Callable[[Callable[_P, _R]], Callable[_P, _R | None]]:
    """Decorates a function whose exceptions are the result's."""

def wrap(async_result: IAsyncResult[Any]) -> Callable[[Callable[_P, _R]], Callable[_P, _R | None]]:
    """Decorates a function whose exceptions are the result's, and what it returns, unless that is None."""
