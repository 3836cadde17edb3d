"""A deployment that several users of one machine share, with two real users; and one that they do not."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Iterator, Optional

import pytest

from fk_backend.errors import NotADeployment, WrongUsage
from fk_backend.providers.local import files, mounts

ROOT = Path(__file__).resolve().parents[3]
USERS = ("nobody", "daemon")
GROUP = "games"
CLIENT = """
import sys
from fk_kazoo.client import KazooClient
client = KazooClient("local://shared")
client.start(timeout=30)
client.ensure_path("/app")
client.create("/app/by-", sys.argv[1].encode(), sequence=True)
print(len(client.get_children("/app")), flush=True)
print(client.Lock("/lock", sys.argv[1]).acquire(timeout=60), flush=True)
sys.stdin.readline()
client.stop()
client.close()
"""


def other_python() -> str:
    """One of our version that every user may run."""
    names = (os.path.realpath(sys.executable), "/usr/bin/python%d.%d" % sys.version_info[:2])
    for name in names:
        above = [Path(name), *Path(name).parents]
        if os.path.exists(name) and all(os.stat(one).st_mode & stat.S_IXOTH for one in above):
            return name
    return ""


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where every user can come; pytest's own directories are this user's alone."""
    made = Path(tempfile.mkdtemp(prefix="fk-shared-"))
    made.chmod(0o755)
    monkeypatch.setenv("FK_KAZOO_HOME", str(made))
    yield made
    shutil.rmtree(made)


def begun(user: str, group: str, home: Path, *words: str) -> "subprocess.Popen[str]":
    """A client of that user, until its standard input ends; or ``python`` with these words."""
    above = Path(__import__("kazoo").__file__).parents[1]
    environ = {"FK_KAZOO_HOME": str(home), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1",
               "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "backend", above)))}  # fmt: skip
    uid, gid = pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid

    def become() -> None:
        os.setgroups([grp.getgrnam(group).gr_gid] if group else [])
        os.setgid(gid)
        os.setuid(uid)
        os.umask(0o077)

    program = [other_python(), *(words or ("-c", CLIENT, user))]
    return subprocess.Popen(program, env=environ, cwd="/", preexec_fn=become, text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
@pytest.mark.skipif(not other_python(), reason="there is no Python here that other users may run")
def test_two_users_share_a_deployment(home: Path) -> None:
    """Each is the host in turn, with the strictest umask; a third one, who is not in the group, is told what to do."""
    files.share("shared", GROUP)
    started = [begun(USERS[0], GROUP, home)]
    try:
        first = started[0]
        assert first.stdout is not None
        assert [first.stdout.readline() for _ in range(2)] == ["1\n", "True\n"], first.stderr and first.stderr.read()
        started.append(begun(USERS[1], GROUP, home))
        second = started[1]
        assert second.stdout is not None
        assert second.stdout.readline() == "2\n", "the other user's process is its host"
        modes = {stat.S_IMODE(os.stat(home / "shared" / name).st_mode) for name in os.listdir(home / "shared")}
        assert modes == {0o660}
        first.communicate("\n", timeout=30)
        assert second.stdout.readline() == "True\n", "it is the host now, and has the lock"
        second.communicate("\n", timeout=30)
        third = begun(USERS[0], GROUP, home)
        assert third.communicate("\n", timeout=60)[0] == "3\nTrue\n"
        assert {os.stat(home / "shared" / name).st_gid for name in os.listdir(home / "shared")} == {
            grp.getgrnam(GROUP).gr_gid
        }
        outsider = begun(USERS[0], "", home)
        said = outsider.communicate("\n", timeout=60)[1]
        assert outsider.returncode and "fk-kazoo init local://shared --group GROUP" in said
    finally:
        for one in started:
            one.kill()
            one.communicate()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
@pytest.mark.skipif(not other_python(), reason="there is no Python here that other users may run")
def test_what_is_closed_is_not_said_to_be_absent(home: Path) -> None:
    """Another user is told that it is there, and that it is not for him."""
    (home / "private").mkdir(0o700)
    (home / "private" / "state.db").touch()
    for words, code, says in (
        (("deployments",), 0, "closed"),
        (("ls", "--url", "local://private"), 4, "Permission denied"),
        (("destroy", "local://private", "--yes", "--force"), 4, "Permission denied"),
    ):
        command = begun(USERS[0], "", home, "-m", "fk_kazoo", *words)
        said = "".join(command.communicate(timeout=60))
        assert command.returncode == code and says in said and "/private" in said and said.count("\n") == 1, said


def test_a_deployment_that_is_there_is_opened(home: Path) -> None:
    """With everything in it; again is no error; a private one stays private."""
    group = grp.getgrgid(os.getegid()).gr_name
    place = files.prepare("mine")
    assert {stat.S_IMODE(os.stat(one).st_mode) for one in (place.state, place.interest)} == {0o600}
    for _ in range(2):
        assert files.share("mine", group) == place
    assert {stat.S_IMODE(os.stat(one).st_mode) for one in (place.state, place.interest)} == {0o660}
    assert os.stat(place.directory).st_mode & 0o7777 == 0o2770
    with pytest.raises(WrongUsage, match="no group nothing-of-the-kind"):
        files.share("mine", "nothing-of-the-kind")


MOUNTS = """22 27 0:20 / /proc rw - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 27 0:45 / /srv/over\\040there rw - nfs4 server:/x rw
41 40 0:46 / /srv/over\\040there/disk rw - xfs /dev/vdb rw
42 27 0:47 / /mnt rw - fuse.sshfs me@host: rw
43 27 0:48 / /twice rw - cifs //a/b rw
44 27 0:49 / /twice rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/me", None),
        ("/srv/over there/x", "nfs4"),
        ("/srv/over there", "nfs4"),
        ("/srv/over there/disk/x", None),
        ("/srv/over therefore", None),
        ("/mnt/x", "fuse.sshfs"),
        ("/twice", None),
    ],
)
def test_network_file_systems_are_known(tmp_path: Path, path: str, kind: Optional[str]) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTS)
    assert mounts.network(path, str(tmp_path / "mountinfo")) == kind
    assert mounts.network(path, str(tmp_path / "none")) is None


def test_a_network_file_system_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is made there."""
    monkeypatch.setattr(mounts, "network", lambda path: "nfs4")
    with pytest.raises(NotADeployment, match=r"network file system \(nfs4\)"):
        files.prepare("mine")
    assert not os.listdir(home)
