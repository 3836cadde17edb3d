"""kazoo's client for asyncio: its start and end, and what it makes. The requests are in `operations`."""

from __future__ import annotations

import logging
import os
import socket
import warnings
from types import TracebackType
from typing import (
    TYPE_CHECKING,
    Collection,
    List,
    Optional,
    Set,
    Tuple,
    Type,
    TypeVar,
    Union,
)

from kazoo.client import ENVI_VERSION_KEY
from kazoo.exceptions import (
    ConfigurationError,
    ConnectionLoss,
    KazooException,
)
from kazoo.protocol.paths import normpath
from kazoo.protocol.states import ZnodeStat

from fk_backend.core.watches import PERSISTENT, RECURSIVE
from fk_backend.errors import DeploymentError
from fk_backend.functions.words import answer_word

from .. import refusals
from ..exceptions import DeploymentConfigurationError
from ..url import resolve
from . import checks, retrying
from .cleanup import PendingDeletions
from .creating import create_once
from .kept_ephemeral import KeptEphemeral
from .operations import Operations
from .recipes import Recipes
from .retrying import Policy
from .transaction import TransactionRequest
from .watching import States, Watch

if TYPE_CHECKING:
    from kazoo.client import _Acls

T = TypeVar("T")


class KazooClient(Recipes, Operations):
    """kazoo's client in the caller's event loop. ``async with`` starts it, and stops it at the end.

    ``hosts``: a deployment URL, or ZooKeeper's hosts with ``FK_KAZOO_URL`` set; ``timeout``: the session's, in seconds.
    Every request may raise what `fk_kazoo.exceptions` has. A request whose task is cancelled is done or not, as a
    whole; its watch is not left behind. A ``watch`` is called once, in the event loop, with a WatchedEvent.
    """

    def __init__(
        self,
        hosts: Union[str, List[str], None] = None,
        timeout: float = 10.0,
        client_id: Optional[Tuple[int, bytes]] = None,
        default_acl: Optional[_Acls] = None,
        auth_data: Optional[Collection[Tuple[str, str]]] = None,
        read_only: bool = False,
        connection_retry: Policy = None,
        command_retry: Policy = None,
        logger: Optional[logging.Logger] = None,
    ) -> None:
        refusals.refuse_server_options({"auth_data": auth_data})
        self.logger = logger or logging.getLogger("kazoo.client")
        self.default_acl = default_acl
        self.auth_data: Set[Tuple[str, str]] = set(auth_data or ())
        self._command_retry = retrying.policy(command_retry)
        try:
            self.deployment, _ = resolve(hosts, os.environ)
        except DeploymentError as error:
            raise DeploymentConfigurationError(str(error)) from error
        self.chroot = normpath(self.deployment.chroot) if self.deployment.chroot else ""
        super().__init__(timeout, client_id, read_only, retrying.policy(connection_retry))
        self._cleanup = PendingDeletions(self)

    async def start(self, timeout: float = 15.0) -> None:
        """Connects. KazooTimeoutError if that takes longer than ``timeout`` seconds.

        DeploymentConfigurationError, at once, if the deployment can't be used until somebody does something.
        """
        await super().start(timeout)
        try:
            if self.chroot and not await self.exists("/"):
                text = "No chroot path exists, the chroot path should be created before normal use."
                warnings.warn(text, stacklevel=2)
        except BaseException:
            await self.stop()
            raise

    async def __aenter__(self) -> KazooClient:
        await self.start()
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], where: Optional[TracebackType]
    ) -> None:
        await self.stop()

    def set_hosts(self, hosts: Union[str, List[str], None]) -> None:
        """Where to connect to when it is started the next time. ConfigurationError if the chroot is another one."""
        other = KazooClient(hosts)
        if other.chroot != self.chroot:
            raise ConfigurationError("Changing chroot at runtime is not currently supported")
        self.deployment = other.deployment

    async def create_once(
        self,
        path: str,
        value: bytes = b"",
        acl: Optional[_Acls] = None,
        ephemeral: bool = False,
        sequence: bool = False,
        makepath: bool = False,
    ) -> str:
        """Creates a node once, and gives its path, however often the connection is lost meanwhile: it tries again.

        As `fk_kazoo.client.KazooClient.create_once`: no second sequential node, no NodeExistsError for one's own.
        """
        checks.path(path)
        options = {"acl": acl, "ephemeral": ephemeral, "makepath": makepath}
        return await create_once(self, path, value, sequence, **options)

    def keep(self, path: str, value: bytes = b"", acl: Optional[_Acls] = None) -> KeptEphemeral:
        """Makes an ephemeral node, and again after the session has expired: ``async with zk.keep(path, data):``.

        Or ``kept = await zk.keep(path, data)``, until ``await kept.close()``. See `KeptEphemeral`.
        """
        checks.path(path)
        checks.value(value)
        return KeptEphemeral(self, path, value, acl)

    def transaction(self) -> TransactionRequest:
        """Several writes that are done together or not at all."""
        return TransactionRequest(self)

    def watch(self, path: str, recursive: bool = False) -> Watch:
        """Every change of a node (and of its children, or with ``recursive`` of all below it), in order.

        ``async for event in zk.watch(path)``; as ``async with`` it is set when the body begins. See `Watch`.
        """
        checks.path(path)
        checks.flags(recursive=recursive)
        return Watch(self, path, RECURSIVE if recursive else PERSISTENT)

    def states(self) -> States:
        """The state as it is, and every later one, until `stop`: ``async for state in zk.states()``."""
        return States(self)

    async def command(self, cmd: bytes = b"ruok") -> str:
        """A four letter word, answered for the deployment. ConnectionLoss if there is no connection, as kazoo's."""
        opening, url = self._opening, self.deployment
        if not self.connected or opening is None:
            raise ConnectionLoss("No connection to server")
        word = cmd.decode("ascii", "replace")
        return await answer_word(await opening.gateway(), url.namespace, word, str(url), socket.gethostname())

    async def server_version(self) -> Tuple[int, ...]:
        """The version of ZooKeeper whose behaviour the deployment has, as numbers."""
        lines = (line.partition("=") for line in (await self.command(b"envi")).splitlines())
        version = next((value for key, _, value in lines if key.strip() == ENVI_VERSION_KEY), "")
        numbers = version.strip().partition("-")[0].split(".")
        if not all(number.isdigit() for number in numbers):
            raise KazooException("Unable to fetch useable server version")
        return tuple(map(int, numbers))

    async def reconfig(
        self, joining: Optional[str], leaving: Optional[str], new_members: Optional[str], from_config: int = -1
    ) -> Tuple[bytes, ZnodeStat]:
        """A deployment has no servers to reconfigure: always an error, ZooKeeper's own where there is one."""
        refusals.check_reconfig(joining, leaving, new_members, from_config)
        raise refusals.reconfig_error(joining, new_members, self.auth_data)
