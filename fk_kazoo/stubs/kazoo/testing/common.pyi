"""ZooKeeper servers for tests. A deployment needs none."""

import logging
from collections.abc import Iterator, Sequence
from subprocess import Popen
from typing import Any, NamedTuple

log: logging.Logger

def debug(sig: int, frame: Any) -> None: ...
def listen() -> None: ...
def to_java_compatible_path(path: str) -> str: ...

class ServerInfo(NamedTuple):
    """A server's number, ports and role. kazoo 2.8 has no ``secure_client_port``."""

    server_id: int
    client_port: int
    secure_client_port: int
    election_port: int
    leader_port: int
    admin_port: int
    peer_type: str

class ManagedZooKeeper:
    """A ZooKeeper server of this process."""

    install_path: str | None
    server_info: ServerInfo
    host: str
    peers: Sequence[ServerInfo]
    working_path: str
    configuration_entries: Sequence[str]
    java_system_properties: Sequence[str]
    jaas_config: str | None
    ssl_configuration: dict[str, Any]
    process: Popen[bytes]

    def __init__(
        self,
        software_path: str | None,
        server_info: ServerInfo,
        peers: Sequence[ServerInfo] = (),
        classpath: str | None = None,
        configuration_entries: Sequence[str] = (),
        java_system_properties: Sequence[str] = (),
        jaas_config: str | None = None,
        ssl_configuration: dict[str, Any] | None = None,
    ) -> None: ...
    def run(self) -> None: ...
    @property
    def classpath(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def secure_address(self) -> str: ...
    @property
    def running(self) -> bool: ...
    @property
    def client_port(self) -> int: ...
    @property
    def secure_client_port(self) -> int: ...
    def reset(self) -> None: ...
    def stop(self) -> None: ...
    def destroy(self) -> None: ...
    def get_logs(self, num_lines: int = 100) -> list[str]: ...

class ZookeeperCluster:
    """ZooKeeper servers of this process."""

    def __init__(
        self,
        install_path: str | None = None,
        classpath: str | None = None,
        size: int = 3,
        port_offset: int = 20000,
        observer_start_id: int = -1,
        configuration_entries: Sequence[str] = (),
        java_system_properties: Sequence[str] = (),
        jaas_config: str | None = None,
    ) -> None: ...
    def __getitem__(self, k: int) -> ManagedZooKeeper: ...
    def __iter__(self) -> Iterator[ManagedZooKeeper]: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def terminate(self) -> None: ...
    def reset(self) -> None: ...
    def get_logs(self) -> list[str]: ...
    def perform_ssl_certs_generation(self) -> None: ...
    def get_ssl_client_configuration(self) -> dict[str, Any]: ...
