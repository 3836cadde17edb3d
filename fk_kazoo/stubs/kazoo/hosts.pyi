def collect_hosts(hosts: str | list[str]) -> tuple[list[tuple[str, int]], str | None]:
    """The (host, port) pairs of ZooKeeper's ``host:port,host:port/chroot``, and the chroot if there is one."""
