"""A server in a network of its own, with a cable to each of several places, which can be cut, one way or both ways.

A cable is a pair of virtual Ethernet devices. Cut means that one end sends to an address that nobody has: nothing is
refused, everything is lost, as with a broken switch. Root, and iproute2, are needed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import List, Optional

NOBODY = "02:00:00:00:00:01"
TO_SERVER, FROM_SERVER = "to the server", "from the server"
BOTH = (TO_SERVER, FROM_SERVER)


def unavailable() -> Optional[str]:
    """Why there can be no such network here, or None."""
    if os.geteuid() or not shutil.which("ip") or not shutil.which("setpriv"):
        return "needs root, iproute2 and setpriv"
    name = "fk%d" % os.getpid()
    made = subprocess.run(["ip", "netns", "add", name], stderr=subprocess.PIPE)
    if made.returncode:
        return "no network namespaces here: %r" % made.stderr
    subprocess.run(["ip", "netns", "del", name], check=True)
    return None


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, stdout=subprocess.PIPE, text=True).stdout


class Cable:
    """From this machine to the network."""

    def __init__(self, network: str, number: int) -> None:
        self._network = network
        base = 200 + number
        self._here, self._there = "fk%dh%d" % (os.getpid(), number), "fk%dt%d" % (os.getpid(), number)
        self._own, self.host = "10.177.%d.1" % base, "10.177.%d.2" % base
        """``host``: the server's address, by this cable."""
        _ip("link", "add", self._here, "type", "veth", "peer", "name", self._there, "netns", network)
        _ip("addr", "add", self._own + "/30", "dev", self._here)
        _ip("link", "set", self._here, "up")
        _ip("-n", network, "addr", "add", self.host + "/30", "dev", self._there)
        _ip("-n", network, "link", "set", self._there, "up")
        self._addresses = {
            TO_SERVER: _ip("-n", network, "-br", "link", "show", self._there).split()[2],
            FROM_SERVER: _ip("-br", "link", "show", self._here).split()[2],
        }
        self.mend()

    def _points(self, way: str, address: str) -> None:
        if way == TO_SERVER:
            self._sends([], self.host, address, self._here)
        else:
            self._sends(["-n", self._network], self._own, address, self._there)

    def _sends(self, where: List[str], to: str, address: str, device: str) -> None:
        _ip(*where, "neigh", "replace", to, "lladdr", address, "dev", device, "nud", "permanent")

    def cut(self, *ways: str) -> None:
        """What is sent these ways is lost from here on."""
        for way in ways:
            self._points(way, NOBODY)

    def mend(self) -> None:
        """Everything arrives."""
        for way in BOTH:
            self._points(way, self._addresses[way])

    def remove(self) -> None:
        """It is no more."""
        subprocess.run(["ip", "link", "del", self._here], stderr=subprocess.DEVNULL)


class Network:
    """With so many cables."""

    def __init__(self, cables: int) -> None:
        self.name = "fk%d" % os.getpid()
        self.inside = ("ip", "netns", "exec", self.name)
        """In front of a command: it runs there."""
        _ip("netns", "add", self.name)
        self.cables: List[Cable] = []
        try:
            _ip("-n", self.name, "link", "set", "lo", "up")
            for number in range(cables):
                self.cables.append(Cable(self.name, number))
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *_: object) -> None:
        for cable in self.cables:
            cable.remove()
        subprocess.run(["ip", "netns", "del", self.name], check=True)
