"""Runs a command against a deployment on a PostgreSQL server of its own, with the permissions of a client.

python -m compat_tests.on_postgres python -m compat_tests.kazoo_suite --url {url}

``{url}`` is the deployment's; FK_KAZOO_URL names it, too. The server is a real one, of the newest PostgreSQL that is
installed here, or of the one whose programs are in the directory FK_POSTGRES_BIN; it is made for the command in a
directory of its own, on a port of its own, and gone after it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Dict, List, Optional, Sequence, Type

PROGRAMS = "/usr/lib/postgresql/*/bin"
"""Where Debian has them, a directory for each version."""
CHOSEN = "FK_POSTGRES_BIN"
START_S = 60.0
ADMIN, CLIENT, DATABASE = "postgres", "app", "coordination"
HERE = "127.0.0.1"
PASSWORD = "not/so:secret@all"
SETTINGS = {
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "logging_collector": "off",
    "log_min_messages": "warning",
}


def programs() -> Optional[str]:
    """The directory of the chosen or the newest server's programs, or None."""
    if os.environ.get(CHOSEN):
        return os.path.realpath(os.environ[CHOSEN])
    found = [directory for directory in glob.glob(PROGRAMS) if os.path.exists(os.path.join(directory, "initdb"))]
    by_version = sorted(found, key=lambda directory: int(directory.split(os.sep)[-2]))
    on_path = shutil.which("initdb")
    return by_version[-1] if by_version else os.path.dirname(os.path.realpath(on_path)) if on_path else None


def lacks(*names: str) -> str:
    """Which of these programs do not come with the server; none: empty."""
    directory = programs()
    missing = [name for name in names if directory is None or not os.path.exists(os.path.join(directory, name))]
    return "no %s beside %s/initdb" % (", ".join(missing), directory) if missing else ""


def unavailable() -> Optional[str]:
    """Why no server can be started on this machine, or None."""
    if programs() is None:
        return "no initdb in %s (apt-get install postgresql)" % PROGRAMS
    try:
        import asyncpg  # noqa: F401
    except ModuleNotFoundError:
        return "no asyncpg (pip install 'fk_kazoo[postgres]')"
    return None


def user() -> Optional[str]:
    """Whom the server runs as: it refuses to run as root. None: as whoever asks."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise RuntimeError("no user to run PostgreSQL as")


class PostgresServer:
    """One server. ``url`` is the deployment's, for a client; ``admin_url`` is its owner's.

    ``fsync``: whether what it commits survives a power cut; a killed process it survives in any case. ``primary``: of
    which it is a standby. ``disk``: where its files are, if not in /tmp; whoever the server runs as must get there.
    ``made``: more options of initdb. ``host``, ``inside``: in another network, its address there and
    the command that runs another one in it; this needs root.
    """

    def __init__(
        self,
        fsync: bool = False,
        settings: Optional[Dict[str, str]] = None,
        primary: Optional["PostgresServer"] = None,
        disk: Path = Path("/tmp"),
        made: Sequence[str] = (),
        host: str = HERE,
        inside: Sequence[str] = (),
        port: Optional[int] = None,
    ) -> None:
        self.host = host
        self._made = made
        self._inside = inside
        self._primary = primary
        found = programs()
        assert found is not None, unavailable()
        self.programs = found
        listens = {"listen_addresses": "*" if inside else host}
        self._settings = {**SETTINGS, **listens, "fsync": "on" if fsync else "off", **(settings or {})}
        self._user = user()
        self.directory = Path(tempfile.mkdtemp(prefix="fk-postgres-", dir=disk))
        self.data = self.directory / "data"
        self.port = port or 0
        """Chosen just before it starts, if it is not given: until then another program may take it."""
        self.process: Optional[subprocess.Popen[bytes]] = None

    def url_of(self, role: str, password: Optional[str] = None, database: str = DATABASE) -> str:
        """As that role; clients of this machine are trusted, unless ``pg_hba.conf`` is changed."""
        login = role + ":" + password if password else role
        return "postgresql://%s@%s:%d/%s" % (login, self.host, self.port, database)

    @property
    def url(self) -> str:
        """A client's."""
        return self.url_of(CLIENT)

    @property
    def admin_url(self) -> str:
        """The owner's."""
        return self.url_of(ADMIN)

    def __enter__(self) -> PostgresServer:
        try:
            self._own(self.directory)
            if self._primary is None:
                options = ["--auth=trust", "--username", ADMIN, "--encoding=UTF8", "--no-sync", "--locale=C"]
                self.run("initdb", *options, *self._made, "--pgdata", str(self.data))
                if self._inside:
                    with open(self.data / "pg_hba.conf", "a") as rules:
                        rules.write("host all all samenet trust\n")
                self.port = self.port or free_port()
                self.start()
                self.set_up()
            else:
                if lacks("pg_basebackup"):
                    asyncio.run(self._copy(self._primary))
                else:
                    login = ["-h", self._primary.host, "-p", str(self._primary.port), "-U", ADMIN]
                    self.run("pg_basebackup", *login, "--checkpoint=fast", "--no-sync", "-R", "-D", str(self.data))
                self.port = self.port or free_port()
                self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.stop(signal.SIGQUIT)  # nobody needs what is on its disk
        shutil.rmtree(self.directory, ignore_errors=True)

    async def _copy(self, primary: "PostgresServer") -> None:
        """What pg_basebackup does, for a primary whose files are at hand. PostgreSQL 15 and later."""
        import asyncpg

        connection = await asyncpg.connect(primary.url_of(ADMIN), timeout=5, command_timeout=60)
        try:
            await connection.fetch("SELECT pg_backup_start('standby', true)")
            with contextlib.suppress(shutil.Error):  # files that go meanwhile are not needed
                shutil.copytree(primary.data, self.data, ignore=shutil.ignore_patterns("postmaster.*"))
            (label,) = await connection.fetchrow("SELECT labelfile FROM pg_backup_stop(false)")
        finally:
            await connection.close()
        (self.data / "backup_label").write_text(label)
        (self.data / "standby.signal").touch()
        with open(self.data / "postgresql.auto.conf", "a") as settings:
            conninfo = "host=%s port=%d user=%s" % (primary.host, primary.port, ADMIN)
            settings.write("primary_conninfo = '%s'\n" % conninfo)
        for path in [self.data, *self.data.rglob("*")]:
            self._own(path)

    def _own(self, path: Path) -> None:
        if self._user is not None:
            shutil.chown(path, self._user)

    def _as_user(self) -> Dict[str, Any]:
        """For a process: as whom, and where. In Python 3.9 and later."""
        whose = {} if self._user is None else {"user": self._user, "group": pwd.getpwnam(self._user).pw_gid}
        return {**whose, "cwd": str(self.directory)}

    def run(self, program: str, *words: str) -> str:
        """What one of PostgreSQL's own programs prints."""
        command = [os.path.join(self.programs, program), *words]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **self._as_user())
        assert done.returncode == 0, done.stdout
        return done.stdout

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        words = [word for name, value in self._settings.items() for word in ("-c", "%s=%s" % (name, value))]
        command = [os.path.join(self.programs, "postgres"), "-D", str(self.data), "-p", str(self.port), *words]
        whose = self._as_user()
        if self._inside:
            become = ["--reuid", str(whose.pop("user")), "--regid", str(whose.pop("group")), "--clear-groups"]
            command = [*self._inside, "setpriv", *become, *command]
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, **whose)
        until = time.monotonic() + START_S
        while True:
            try:
                self.ask("SELECT 1", database="postgres")
                return
            except Exception as error:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise AssertionError("%s\n%s" % (error, (self.directory / "log").read_text()[-3000:])) from error
            time.sleep(0.05)

    def stop(self, how: int = signal.SIGINT) -> None:
        """Stops it: SIGINT as fast as it can be done in order, SIGQUIT without that, SIGKILL as a crash."""
        process, self.process = self.process, None
        if process is not None:
            process.send_signal(how)
            process.wait()

    def set_up(self) -> None:
        """A database, a client's role, and the deployment."""
        self.ask("CREATE DATABASE %s" % DATABASE, database="postgres")
        self.ask("CREATE ROLE %s LOGIN" % CLIENT)
        command = [sys.executable, "-m", "fk_kazoo", "init", self.admin_url, "--role", CLIENT]
        root = str(Path(__file__).resolve().parent.parent)
        path = os.pathsep.join([root, os.path.join(root, "backend")])
        done = subprocess.run(
            command, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert done.returncode == 0, done.stdout

    def ask(self, sql: str, *arguments: Any, database: str = DATABASE) -> List[Any]:
        """The rows, as the administrator."""
        import asyncpg

        async def work() -> List[Any]:
            connection = await asyncpg.connect(self.url_of(ADMIN, database=database), timeout=5, command_timeout=30)
            try:
                rows: List[Any] = await connection.fetch(sql, *arguments)
                return rows
            finally:
                await connection.close()

        return asyncio.run(work())


def free_port() -> int:
    """Of this machine, at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main(argv: Optional[List[str]] = None) -> int:
    """The command's exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m compat_tests.on_postgres",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", help="a program, {url} in its arguments standing for the deployment's URL")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args(argv)
    why = unavailable()
    if why is not None:
        parser.error(why)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # no server stays behind
    with PostgresServer() as server:
        words = [options.command, *(word.replace("{url}", server.url) for word in options.arguments)]
        return subprocess.call(words, env={**os.environ, "FK_KAZOO_URL": server.url})


if __name__ == "__main__":
    sys.exit(main())
