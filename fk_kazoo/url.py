"""Which deployment does an app mean: ``scheme://deployment[/chroot][?options]``, or ZooKeeper hosts and FK_KAZOO_URL.

Rule upheld here: a URL is understood completely or refused with a message that says what to do. Nothing in it is
ignored, guessed or repaired, and no message repeats a password.

    memory://name                          in this process
    local://name/app?namespace=orders      SQLite, shared by the processes of this machine
    aws://name?region=eu-central-1         functions, queues and storage in the cloud
    postgresql://me@host:5432/db/app       a PostgreSQL database, shared by any number of machines

Of ``postgresql://`` (``postgres://`` is the same) everything up to the chroot is as libpq has it: hosts, each with its
port, and the first segment of the path, which is the database. What follows the database is the chroot, so where there
is a chroot the database is named. A password may be in it; it is in no text that is made of the URL.

==============  ==========  ==================================================================================
option          schemes     meaning
==============  ==========  ==================================================================================
namespace       all         an independent tree in the deployment: 1 to 64 of ``A-Za-z0-9._-``; default ``default``
region          aws         the region the deployment is in
endpoint_url    aws         ``http(s)://host[:port][/path]`` of the cloud's interface, where it is not the usual one
via             aws,        ``queue``: every write goes by the queue, none is an invocation of the writer, or
                postgresql  committed by who asks
durability      postgresql  ``disk`` or ``standby``: what an answered write must survive; else it is refused
sslmode …       postgresql  libpq's own: `LIBPQ`
==============  ==========  ==================================================================================
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union
from urllib.parse import quote, unquote_to_bytes

from fk_backend.errors import BadUrl

SCHEMES = ("memory", "local", "aws", "postgresql")
DEFAULT_NAMESPACE = "default"
DEFAULT_URL = "local://default"
ENVIRONMENT_VARIABLE = "FK_KAZOO_URL"

Hosts = Union[None, str, Sequence[str]]

LIBPQ = (
    "host", "port", "user", "password", "passfile", "service", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl",
    "sslnegotiation", "ssl_min_protocol_version", "ssl_max_protocol_version", "krbsrvname",
)  # fmt: skip
"""Options of ``postgresql://`` that mean what they mean to libpq (PostgreSQL, "Parameter Key Words")."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_OPTIONS: Dict[str, Tuple[Tuple[str, ...], str, str]] = {
    "namespace": (SCHEMES, r"[A-Za-z0-9._-]{1,64}", "1 to 64 letters, digits, dots, underscores and hyphens"),
    "region": (("aws",), r"[a-z0-9]+(-[a-z0-9]+)*", "a region's name such as eu-central-1"),
    "endpoint_url": (("aws",), r"https?://[^\s/?#@]+(/[^\s?#@]*)?", "http(s)://host[:port][/path] without user name"),
    "via": (("aws", "postgresql"), "queue", "queue"),
    "durability": (("postgresql",), "disk|standby", "disk or standby"),
    **dict.fromkeys(LIBPQ, (("postgresql",), r"[^\x00]+", "as libpq has it")),
}
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._%-]*)(:[0-9]{1,5})?")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNPRINTABLE = re.compile("[\\s\x00-\x1f\x7f-\x9f]")
_NOT_IN_PATHS = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\uf8ff\ufff0-\uffff]")
_CREDENTIALS = re.compile(r"//.*@", re.DOTALL)
_SECRET_OPTION = re.compile(r"([?&](?:ssl)?password=)[^&]*")


@dataclass(frozen=True)
class DeploymentUrl:
    """A deployment, and where in it an app lives. ``str()`` gives a URL that parses to an equal value."""

    scheme: str
    """``memory``, ``local``, ``aws`` or ``postgresql``."""
    deployment: str
    """The deployment's name; of ``postgresql`` what leads to it: ``[user@]hosts[/database]``, escaped as in the URL."""
    chroot: str = ""
    """``""`` or an absolute path without a slash at its end; as kazoo keeps it."""
    namespace: str = DEFAULT_NAMESPACE
    """The independent tree in the deployment."""
    options: Tuple[Tuple[str, str], ...] = ()
    """The options apart from ``namespace``, sorted by name."""
    secret: str = field(default="", repr=False)
    """The password that a ``postgresql://`` URL came with. It is in no text, so not in ``str()`` either."""

    def option(self, name: str) -> Optional[str]:
        """The value of an option, None if it was not given."""
        return dict(self.options).get(name)

    def settings(self) -> Dict[str, str]:
        """The options, and the password if there is one: for the provider, and for nobody's eyes."""
        return {**dict(self.options), **({"password": self.secret} if self.secret else {})}

    def whole(self) -> str:
        """As ``str()``, with the password: what another process is given, in its environment."""
        text = str(self)
        return text + ("&" if "?" in text else "?") + "password=" + quote(self.secret, safe="") if self.secret else text

    def __str__(self) -> str:
        options = [("namespace", self.namespace)] if self.namespace != DEFAULT_NAMESPACE else []
        query = "&".join(f"{name}={quote(value, safe=':/')}" for name, value in [*options, *self.options])
        return f"{self.scheme}://{self.deployment}{quote(self.chroot)}" + (f"?{query}" if query else "")


class Resolution(NamedTuple):
    """What `resolve` found."""

    url: DeploymentUrl
    """The deployment, with the chroots of URL and hosts joined."""
    hosts: List[Tuple[str, int]]
    """The ZooKeeper hosts that the app named, which nothing connects to; empty if it named none."""


def parse(text: str) -> DeploymentUrl:
    """The deployment that ``text`` names. Raises `fk_backend.errors.BadUrl`."""
    scheme, found, rest = text.partition("://")
    if not found:
        begun, colon, place = text.partition(":")
        if colon and begun.lower() in SCHEMES and place.strip("/"):
            raise _bad(text, f"a scheme is followed by two slashes; write {begun.lower()}://{place.strip('/')}")
        raise _bad(text, "it has no scheme; write memory://NAME, local://NAME or aws://NAME")
    if _UNPRINTABLE.search(text):
        raise _bad(text, "it has white space or a control character in it; write it as %20 and so on in the chroot")
    if "#" in rest:
        raise _bad(text, "a deployment URL has no fragment; write # as %23 if the chroot has one")
    scheme = {"postgres": "postgresql"}.get(scheme.lower(), scheme.lower())
    if scheme == "zk":
        raise _bad(text, "that is a ZooKeeper, and here a deployment is needed; fk-kazoo copy moves its nodes to one")
    if scheme not in SCHEMES:
        raise _bad(text, f"the scheme {scheme!r} is unknown; it is one of {', '.join(SCHEMES)}")
    place, _, query = rest.partition("?")
    options = _options(text, scheme, query) if "?" in rest else {}
    secret = ""
    if scheme == "postgresql":
        deployment, chroot, secret = _database(text, place)
        secret = options.pop("password", secret)
    else:
        deployment, slash, path = place.partition("/")
        _check_deployment(text, deployment)
        chroot = slash + path
    namespace = options.pop("namespace", DEFAULT_NAMESPACE)
    return DeploymentUrl(scheme, deployment, _chroot(text, chroot), namespace, tuple(sorted(options.items())), secret)


def resolve(hosts: Hosts, environ: Mapping[str, str]) -> Resolution:
    """The deployment an app means by kazoo's ``hosts`` argument.

    A URL is taken as it is. ZooKeeper hosts (kazoo's string or list) stand for the deployment that the environment
    variable FK_KAZOO_URL names, and their chroot is appended to the URL's. None is ``local://default`` unless the
    variable is set.

    Raises `fk_backend.errors.BadUrl`; ValueError for hosts that kazoo refuses, as kazoo does; and
    `fk_kazoo.exceptions.DeploymentConfigurationError` for ZooKeeper hosts without FK_KAZOO_URL.
    """
    parts = [hosts] if isinstance(hosts, str) else list(hosts or ())
    if any("://" in part for part in parts):
        return _from_urls(parts)
    configured = environ.get(ENVIRONMENT_VARIABLE, "").strip()
    if hosts is None:
        return Resolution(_from_environment(configured) if configured else parse(DEFAULT_URL), [])
    addresses, chroot = _zookeeper_hosts(hosts)
    if not configured:
        raise _not_configured(hosts)
    return Resolution(_below(_from_environment(configured), chroot), addresses)


def _from_urls(parts: List[str]) -> Resolution:
    """``[URL]`` or, as kazoo allows for hosts, ``[URL, chroot]``."""
    url = parts[0].strip()
    if len(parts) > 2 or (len(parts) == 2 and not parts[1].strip().startswith("/")):
        raise BadUrl("hosts names more than one place; give one deployment URL and no other host")
    return Resolution(_below(parse(url), parts[1].strip() if len(parts) == 2 else ""), [])


def _from_environment(configured: str) -> DeploymentUrl:
    try:
        return parse(configured)
    except BadUrl as error:
        raise BadUrl(f"environment variable {ENVIRONMENT_VARIABLE}: {error}") from None


def _zookeeper_hosts(hosts: Union[str, Sequence[str]]) -> Tuple[List[Tuple[str, int]], str]:
    """kazoo's own reading of hosts: addresses, and the chroot or ``""``."""
    from kazoo.hosts import collect_hosts  # not before the app had its chance to monkey-patch

    if not hosts:
        raise ValueError("hosts is empty; give a deployment URL, or leave hosts out")
    addresses: Any
    addresses, chroot = collect_hosts(hosts if isinstance(hosts, str) else list(hosts))
    return list(addresses), (chroot or "").strip()


def _below(url: DeploymentUrl, chroot: str) -> DeploymentUrl:
    """``url`` with the chroot of hosts appended, normalised as kazoo does (ValueError if it can not be a path)."""
    segments = [segment for segment in chroot.split("/") if segment]
    if any(segment in (".", "..") for segment in segments):
        raise ValueError("relative paths not allowed in the chroot of hosts")
    if _NOT_IN_PATHS.search(chroot):
        raise ValueError("the chroot of hosts has a character in it that ZooKeeper does not allow in paths")
    joined = url.chroot + "".join("/" + segment for segment in segments)
    return replace(url, chroot=joined)


def _check_deployment(text: str, deployment: str) -> None:
    if "@" in deployment:
        raise _bad(text, "user names and passwords do not belong in a URL; credentials come from the environment")
    if not deployment:
        raise _bad(text, f"it names no deployment; write {text.partition('://')[0]}://NAME")
    if ":" in deployment:
        raise _bad(text, "a deployment has no port; leave the colon and what follows it out")
    if not _NAME.fullmatch(deployment):
        what = "a deployment's name is 1 to 64 letters, digits, dots, underscores and hyphens, a letter or digit first"
        raise _bad(text, what)


def _database(text: str, place: str) -> Tuple[str, str, str]:
    """What leads to the database, the chroot as it is written, and the password."""
    authority, _, path = place.partition("/")
    database, slash, chroot = path.partition("/")
    login, at, hosts = authority.rpartition("@")
    user, colon, password = login.partition(":")
    for part in (user, database, password):
        _decode(text, part)
    if any(not _HOST.fullmatch(host) for host in hosts.split(",")):
        raise _bad(
            text, "its hosts are not host[:port], with commas in between; write @ in a name or a password as %40"
        )
    if "@" in path:  # a password that has a slash in it would be taken for the database, and shown
        raise _bad(text, "there is an @ behind the hosts: write / in a password as %2F, and @ in a path as %40")
    if at and not user:
        raise _bad(text, "there is no user before the @")
    if chroot and not database:
        raise _bad(text, "the first segment is the database: name it where there is a chroot")
    leads = (user + "@" if user else "") + hosts + ("/" + database if database else "")
    return leads, slash + chroot, unquote_to_bytes(password).decode("utf-8") if colon else ""


def _chroot(text: str, path: str) -> str:
    if path in ("", "/"):
        return ""
    segments = path[1:-1] if path.endswith("/") else path[1:]
    decoded = [_decode(text, segment) for segment in segments.split("/")]
    for segment in decoded:
        if segment in ("", ".", "..") or "/" in segment:
            raise _bad(text, "the chroot is an absolute path: no empty segment, no '.' or '..', no escaped slash")
        if _NOT_IN_PATHS.search(segment):
            raise _bad(text, "the chroot has a character in it that ZooKeeper does not allow in paths")
    return "".join("/" + segment for segment in decoded)


def _options(text: str, scheme: str, query: str) -> Dict[str, str]:
    options: Dict[str, str] = {}
    for part in query.split("&"):
        name, equals, raw = part.partition("=")
        schemes, pattern, form = _OPTIONS.get(name, ((), "", ""))
        if scheme not in schemes:
            known = ", ".join(option for option, (where, _, _) in _OPTIONS.items() if scheme in where)
            raise _bad(text, f"{scheme}:// has no option {name!r}; it has: {known}")
        if name in options:
            raise _bad(text, f"the option {name} is given twice; give it once")
        value = _decode(text, raw)
        if not equals or not re.fullmatch(pattern, value):
            raise _bad(text, f"the option {name} is {form}: {name}=VALUE")
        options[name] = value
    return options


def _decode(text: str, raw: str) -> str:
    if _BAD_ESCAPE.search(raw):
        raise _bad(text, "a % in it is not followed by two hexadecimal digits; write % itself as %25")
    try:
        return unquote_to_bytes(raw).decode("utf-8")
    except (UnicodeDecodeError, UnicodeEncodeError):
        raise _bad(text, "what it escapes with % is not UTF-8") from None


def _bad(text: str, why: str) -> BadUrl:
    shown = _SECRET_OPTION.sub(r"\1…", _CREDENTIALS.sub("//…@", text))
    return BadUrl(f"{shown if len(shown) <= 200 else shown[:200] + '…'!r}: {why}")


def _not_configured(hosts: Union[str, Sequence[str]]) -> Exception:
    from fk_kazoo.exceptions import DeploymentConfigurationError  # not before the app could monkey-patch

    return DeploymentConfigurationError(
        f"hosts={hosts!r} names ZooKeeper servers, and fk_kazoo connects to none. Say which deployment stands in for "
        f"them: set the environment variable {ENVIRONMENT_VARIABLE} (for example to {DEFAULT_URL}), or pass a "
        "deployment URL as hosts."
    )
