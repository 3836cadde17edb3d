"""Opening a deployment changes nothing until everything about it has been found good; making one is a single rename.

``$FK_KAZOO_HOME`` (``~/.fk_kazoo`` if it is not set) holds a directory for each deployment, 0700, or 2770 if it is
shared (`modes`):

| file | what it is |
| --- | --- |
| ``state.db`` | SQLite: tables ``state`` and ``sessions``; written by who has the commit lock |
| ``interest.db`` | SQLite: table ``interest``; written by every process |
| ``commit.lock`` | locks: who commits, and whose a record is (`combining`, `shared_memory`) |
| ``shared.words`` | memory of all processes: what is fanned out, and who wants what written (`progress`, `combining`) |
| ``events-N.sock`` | the sockets at which processes are told of events by each other (`event_sockets`) |
| ``host.lock`` | which process does what one does for all (`host`) |
| ``super.digest`` | if it is there: ``user:hash`` as in ZooKeeper's ``DigestAuthenticationProvider.superDigest`` |

The files must be on a disk of this machine: WAL does not work over a network (https://sqlite.org/wal.html).
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import re
import shutil
import sqlite3
import stat
import tempfile
from typing import Dict, Iterator, NamedTuple, Optional, Tuple

from ...core.model import Id
from ...errors import BadUrl, DeploymentError, NoPermission, NotADeployment, StorageFull, WrongUsage
from ...ports import INTEREST, SESSIONS, STATE
from .. import naming
from . import closed_files, database, mounts, takeover
from .modes import GROUP_MODE, SHARED

HOME_VARIABLE = "FK_KAZOO_HOME"
DEFAULT_HOME = "~/.fk_kazoo"
SOCKET_PATH_MAX = 103
"""Bytes that fit ``sockaddr_un`` everywhere (104 with the NUL on macOS and the BSDs, 108 on Linux)."""

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_SUPER = re.compile(r"[^:\s]+:[A-Za-z0-9+/]+=*")


_good: Dict[str, Tuple[Tuple[int, int, int, int], int]] = {}
"""Databases whose headers were found good, as they were then, and their formats: who connects asks four times in a row.
"""


class Place(NamedTuple):
    """Where a deployment is."""

    directory: str

    @property
    def state(self) -> str:
        """The database of STATE and SESSIONS."""
        return os.path.join(self.directory, "state.db")

    @property
    def interest(self) -> str:
        """The database of INTEREST."""
        return os.path.join(self.directory, "interest.db")

    @property
    def lock(self) -> str:
        """The file that the host holds a lock on."""
        return os.path.join(self.directory, "host.lock")

    def event_socket(self, number: int) -> str:
        """The socket of a process. It may be too long to be bound, or written to: see `reachable`."""
        return os.path.join(self.directory, "events-%d.sock" % number)

    @property
    def words(self) -> str:
        """The file of the memory that all processes share."""
        return os.path.join(self.directory, "shared.words")

    @property
    def commit_lock(self) -> str:
        """The file that whoever commits holds a lock on."""
        return os.path.join(self.directory, "commit.lock")

    @property
    def super_digest(self) -> str:
        """The file that names the super user."""
        return os.path.join(self.directory, "super.digest")

    @contextlib.contextmanager
    def reachable(self, path: str) -> Iterator[str]:
        """The path of a socket by which it can be bound and written to, while the context lasts, however deep it lies.

        OSError.
        """
        if len(os.fsencode(path)) <= SOCKET_PATH_MAX:
            yield path
            return
        with tempfile.TemporaryDirectory(prefix="fk-") as short:
            link = os.path.join(short, "d")
            os.symlink(os.path.abspath(self.directory), link)
            yield os.path.join(link, os.path.basename(path))


def home() -> str:
    """The absolute path under which all deployments of this user are. DeploymentError if there is no home."""
    path = os.path.expanduser(os.environ.get(HOME_VARIABLE) or DEFAULT_HOME)
    if path.startswith("~"):
        raise DeploymentError("this user has no home directory; set %s to a directory to use" % HOME_VARIABLE)
    return os.path.abspath(path)


def locate(name: str) -> Place:
    """Where the deployment of that name is, or would be. BadUrl for a name that none can ever have had."""
    if not _NAME.fullmatch(name):
        raise BadUrl("%r can't name a deployment: use 1 to 64 of A-Z a-z 0-9 . _ -, not starting with a dot" % name)
    return Place(os.path.join(home(), name))


def check_name(place: Place) -> None:
    """BadUrl if there is no deployment and none may be made of that name."""
    if not os.path.lexists(place.directory):
        naming.checked("local", os.path.basename(place.directory))


def prepare(name: str) -> Place:
    """The deployment of that name, checked; it is made if there is none.

    Raises BadUrl, NoPermission, NotADeployment or UnknownFormat, having changed nothing; StorageFull if there is no
    room to make it.
    """
    place = locate(name)
    check_name(place)
    with as_our_error(place.directory):
        _check_mount(place.directory)
        if not os.path.lexists(place.directory) or _is_empty(place.directory):
            _create(place)
        if check(place) < database.FILES_FORMAT:
            takeover.take_over(place.directory, (place.state, place.interest), place.lock)
    return place


def _check_mount(path: str) -> None:
    kind = mounts.network(path)
    if kind is not None:
        raise NotADeployment(
            "%s is on a network file system (%s), where SQLite's files can't be shared; set %s to a directory on a "
            "disk of this machine, or use aws:// or postgresql://" % (path, kind, HOME_VARIABLE)
        )


def check(place: Place) -> int:
    """Whether the deployment is ours and usable; changes nothing. The older of its formats. As `prepare`."""
    formats = []
    with as_our_error(place.directory):
        if not stat.S_ISDIR(os.stat(place.directory).st_mode):
            raise NotADeployment("%s is not a directory; remove it or use another name" % place.directory)
        _check_access(place.directory, os.R_OK | os.W_OK | os.X_OK)
        closed_files.close((place.state, place.interest))
        for path in (place.state, place.interest):
            if not os.path.lexists(path):
                raise NotADeployment("%s is missing; restore it, or remove %s" % (path, place.directory))
            status = os.stat(path)
            if not stat.S_ISREG(status.st_mode):
                raise NotADeployment("%s is not a file; restore it, or remove %s" % (path, place.directory))
            _check_access(path, os.R_OK | os.W_OK)
            is_now = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
            known = _good.get(path)
            if known is None or known[0] != is_now:
                with closed_files.changing((path,)):
                    known = _good[path] = is_now, database.check(path)
            formats.append(known[1])
    return min(formats)


def super_id(place: Place) -> Optional[Id]:
    """Who is the deployment's super user, if anybody is. NotADeployment if ``super.digest`` can't be understood."""
    with as_our_error(place.super_digest):
        try:
            with open(place.super_digest, encoding="ascii") as file:
                text = file.read(1000).strip()
        except FileNotFoundError:
            return None
        except UnicodeDecodeError:
            text = ""
    if not _SUPER.fullmatch(text):
        raise NotADeployment("%s must hold user:hash, as ZooKeeper's superDigest" % place.super_digest)
    return Id("digest", text)


def _is_empty(directory: str) -> bool:
    return os.path.isdir(directory) and not os.listdir(directory)


def share(name: str, group: str) -> Place:
    """Opens a deployment to a group; it is made if there is none. Again is no error.

    WrongUsage: there is no such group. NoPermission: it is somebody else's, or the group is not one's own. Else as
    `prepare`.
    """
    place = locate(name)
    try:
        gid = grp.getgrnam(group).gr_gid
    except KeyError:
        raise WrongUsage("there is no group %s on this machine" % group) from None
    check_name(place)
    with as_our_error(place.directory):
        if not os.path.lexists(place.directory) or _is_empty(place.directory):
            _create(place, gid)
        check(place)
        _open(place.directory, gid)  # first: what anybody makes from now on is open, too
        for each in sorted(os.listdir(place.directory)):
            path = os.path.join(place.directory, each)
            if stat.S_IMODE(os.stat(path).st_mode) != GROUP_MODE or os.stat(path).st_gid != gid:
                os.chown(path, -1, gid)
                os.chmod(path, GROUP_MODE)
    return place


def _open(directory: str, gid: int) -> None:
    os.chown(directory, -1, gid)
    os.chmod(directory, 0o700 | SHARED)


def _create(place: Place, gid: Optional[int] = None) -> None:
    """Builds the deployment beside its place and moves it there, so that it is never seen half made."""
    above = os.path.dirname(place.directory)
    os.makedirs(above, 0o700, exist_ok=True)
    new = Place(tempfile.mkdtemp(prefix=".new-", dir=above))
    try:
        if gid is not None:
            _open(new.directory, gid)
        database.create(new.state, (STATE, SESSIONS))
        database.create(new.interest, (INTEREST,))
        _sync_directory(new.directory)
        os.rename(new.directory, place.directory)
        _sync_directory(above)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        # Another process was first: its deployment is as good as ours.
    finally:
        shutil.rmtree(new.directory, ignore_errors=True)


def _sync_directory(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_access(path: str, mode: int) -> None:
    """As the effective user, where that can be asked for."""
    if os.access(path, mode, effective_ids=os.access in os.supports_effective_ids):
        return
    if mode & os.W_OK and os.statvfs(path).f_flag & os.ST_RDONLY:
        raise NoPermission("%s is on a read-only file system; set %s to another place" % (path, HOME_VARIABLE))
    raise NoPermission("no permission to read and write %s; %s" % (path, _what_to_do(path)))


def _what_to_do(path: str) -> str:
    name = os.path.relpath(path, home()).split(os.sep)[0]
    return "change its mode, have its owner share it (fk-kazoo init local://%s --group GROUP), or set %s" % (
        name,
        HOME_VARIABLE,
    )


@contextlib.contextmanager
def as_our_error(path: str) -> Iterator[None]:
    """What the operating system refuses, in our words."""
    try:
        yield
    except sqlite3.Error as error:
        raise database.explain(error, path, "open") from error
    except OSError as error:
        where = error.filename or path
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise NoPermission("%s: %s; %s" % (where, error.strerror, _what_to_do(path))) from error
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull("%s: %s" % (where, error.strerror)) from error
        raise NotADeployment("%s: %s; remove it, or set %s" % (where, error.strerror, HOME_VARIABLE)) from error
