"""Which deployment or ZooKeeper a command is about, and the client that it speaks through.

Rule upheld here: nothing is made by looking: a `local://` deployment that is not there is an error unless a command
makes nodes.
"""

from __future__ import annotations

import contextlib
import functools
import json
import sys
import warnings
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple, TypeVar

import click

from fk_backend.errors import BadUrl
from fk_kazoo.url import DEFAULT_URL, ENVIRONMENT_VARIABLE, DeploymentUrl, parse

from .failures import FAILED, NOT_FOUND, Failure
from .formats import ParamType, echo

ZK = "zk://"
F = TypeVar("F", bound=Callable[..., Any])
Clients = Dict[Tuple[str, Tuple[Tuple[str, str], ...]], Any]
"""Connected clients, by URL and credentials."""


class Target:
    """A deployment or a ZooKeeper, and how its answers are to be printed."""

    def __init__(
        self, url: str, auth: Sequence[str] = (), timeout_s: float = 10.0, as_json: bool = False, quiet: bool = False
    ) -> None:
        self.url = url.strip()
        self.auth = [credential(one) for one in auth]
        self.timeout_s = timeout_s
        self.as_json = as_json
        self.quiet = quiet

    @property
    def is_zookeeper(self) -> bool:
        """Whether it is a real ZooKeeper."""
        return self.url.lower().startswith(ZK)

    @property
    def deployment(self) -> DeploymentUrl:
        """The deployment. BadUrl, also where it is a ZooKeeper."""
        if self.is_zookeeper:
            raise BadUrl("%s is a ZooKeeper: this command is for deployments" % self.url)
        return known(self.url)

    @contextlib.contextmanager
    def client(self, make: bool = False) -> Iterator[Any]:
        """A connected client. ``make``: a deployment that is not there may be made."""
        kept, who = _kept(), (self.url, tuple(self.auth))
        if kept is not None and who in kept:
            yield kept[who]
            return
        one = connect(self.url, self.auth, self.timeout_s, make)
        if kept is not None:
            kept[who] = one
            yield one
            return
        try:
            yield one
        finally:
            leave(one)

    def json(self, value: Any) -> None:
        """One document on standard output."""
        click.echo(json.dumps(value, indent=2, ensure_ascii=sys.stdout.isatty()))

    def info(self, text: str) -> None:
        """What is no result, on standard error."""
        if not self.quiet:
            echo(text, err=True)


def credential(text: str) -> Tuple[str, str]:
    """``digest:user:password`` as kazoo wants it. BadUrl's kin: a usage error."""
    scheme, colon, rest = text.partition(":")
    if not colon or not scheme:
        raise click.UsageError("--auth is SCHEME:CREDENTIAL, as in digest:user:password")
    return scheme, rest


def known(url: str) -> DeploymentUrl:
    """The deployment that can be looked at from here. BadUrl."""
    found = parse(url)
    if found.scheme == "memory" and _kept() is None:
        raise BadUrl("%s: what is in memory is gone with its process, so there is nothing to see from here" % url)
    return found


def connect(url: str, auth: Sequence[Tuple[str, str]], timeout_s: float, make: bool) -> Any:
    """A client that is connected. Failure, BadUrl, and what kazoo raises."""
    import logging

    logging.getLogger("kazoo").setLevel(logging.CRITICAL)
    one: Any
    shown = url
    if url.lower().startswith(ZK):
        from .zookeeper import ZooKeeperClient, hosts_of

        one = ZooKeeperClient(hosts_of(url), timeout=timeout_s, auth_data=list(auth))
    else:
        found = known(url)
        if not make:
            require(found)
        from fk_kazoo.client import KazooClient

        shown = str(found)  # without a password
        one = KazooClient(shown, timeout=timeout_s, auth_data=list(auth))
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "No chroot path exists")  # what needs it says so itself
            one.start(timeout=timeout_s)
    except one.handler.timeout_exception as error:
        leave(one)
        raise Failure("no connection to %s within %g s: nobody answers there" % (shown, timeout_s), FAILED) from error
    except BaseException:
        leave(one)
        raise
    return one


def make_chroot(client: Any) -> None:
    """Makes the node that is the client's chroot, and those above it, which kazoo does for one of one level alone."""
    chroot, client.chroot = client.chroot, ""
    try:
        client.ensure_path(chroot or "/")
    finally:
        client.chroot = chroot


def leave(client: Any) -> None:
    """Ends a client."""
    with contextlib.suppress(Exception):
        client.stop()
        client.close()


def require(found: DeploymentUrl) -> None:
    """Failure where it is a deployment of this machine that is not there."""
    if found.scheme != "local":
        return
    import os

    from fk_backend.providers.local import files

    if not os.path.lexists(files.locate(found.deployment).directory):
        why = "there is no local://%s; fk-kazoo create makes it, fk-kazoo deployments lists what is" % found.deployment
        raise Failure(why, NOT_FOUND)


def _kept() -> Optional[Clients]:
    """The connected clients of a shell, which go on between its commands."""
    context = click.get_current_context(silent=True)
    return context.find_root().obj if context is not None and isinstance(context.find_root().obj, dict) else None


# --- options --------------------------------------------------------------------------------------


def with_target(function: F) -> F:
    """Gives a command the options that name its `Target`, and the target as its first argument."""

    @functools.wraps(function)
    def call(url: Optional[str], auth: List[str], timeout: float, as_json: bool, quiet: bool, **more: Any) -> Any:
        try:
            return function(Target(url or DEFAULT_URL, auth, timeout, as_json, quiet), **more)
        except Exception as error:
            if not error.args and isinstance(more.get("path"), str):
                error.args = (more["path"],)  # kazoo's errors of an answer don't say what they are about
            raise

    for option in reversed(
        [
            click.option(
                "--url",
                "-u",
                envvar=ENVIRONMENT_VARIABLE,
                metavar="URL",
                help="local://NAME, postgresql://USER@HOST/DATABASE, aws://NAME?region=REGION, "
                "zk://HOST:PORT[,HOST:PORT][/CHROOT]; "
                "default: $%s, or %s." % (ENVIRONMENT_VARIABLE, DEFAULT_URL),
            ),
            click.option(
                "--auth",
                multiple=True,
                envvar="FK_KAZOO_AUTH",
                metavar="SCHEME:CREDENTIAL",
                help="As in digest:user:password; may be repeated; default: $FK_KAZOO_AUTH.",
            ),
            click.option(
                "--timeout",
                type=click.FloatRange(min=1, max=3600),
                default=10.0,
                metavar="SECONDS",
                help="Of connecting, and of the session.",
            ),
            click.option("--json", "as_json", is_flag=True, help="Print JSON."),
            click.option("--quiet", "-q", is_flag=True, help="Print results and errors only."),
        ]
    ):
        call = option(call)
    return call  # type: ignore[return-value] # click keeps what it decorates


def joined(here: str, path: str) -> str:
    """A path as seen from a node: ``..``, ``.`` and names that begin with no slash."""
    import posixpath

    return posixpath.normpath(posixpath.join(here, path)).replace("//", "/")


class NodePath(ParamType):
    """A node's path. Completes by looking."""

    name = "path"
    here = "/"
    """Where a path that begins with no slash begins: a shell's node."""

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """The path, without a slash at its end."""
        from fk_backend.core import paths

        text = self.absolute(str(value))
        text = text.rstrip("/") or "/"
        if not paths.is_valid(text):
            self.fail("%r can't be a node's path" % value, param, ctx)
        return text

    @classmethod
    def absolute(cls, text: str) -> str:
        """As seen from `here`."""
        if text.startswith("/"):
            return text
        return joined(cls.here, text)

    def shell_complete(self, ctx: Any, param: Any, incomplete: str) -> List[Any]:
        """The children of what was typed so far."""
        from click.shell_completion import CompletionItem

        above, _, typed = incomplete.rpartition("/")
        try:
            target = Target(ctx.params.get("url") or DEFAULT_URL, ctx.params.get("auth") or (), 3.0)
            with target.client() as client:
                names = client.get_children(self.convert(above or ("/" if incomplete else self.here), None, None))
        except Exception:  # whatever it is: who types gets no suggestions
            return []
        before = above + "/" if "/" in incomplete or (not incomplete and self.here == "/") else ""
        return [CompletionItem(before + name) for name in sorted(names) if name.startswith(typed)]


def read_data(text: Optional[str], file: Optional[str]) -> bytes:
    """The data of a node: an argument, ``-`` for standard input, or a file. OSError."""
    if file is not None:
        with open(file, "rb") as opened:
            return opened.read()
    if text == "-":
        return sys.stdin.buffer.read()
    return b"" if text is None else text.encode("utf-8", "surrogateescape")
