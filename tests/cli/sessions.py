"""What is typed in the sessions of docs/cli.md: for each command its lines. `tests.cli.terminal` says what they print.

Each begins with a copy of what `BEFORE` made, in an empty directory with `FILES` in it.
"""

from __future__ import annotations

import grp
import os
import shutil
import textwrap
import zipfile
from pathlib import Path
from typing import Dict, List, Match, Tuple

from .terminal import Fixed, Terminal

BEFORE = """
export FK_KAZOO_URL=local://app
fk-kazoo create -p /app/config '{"debug": false}'
fk-kazoo create /app/queue
fk-kazoo create -s /app/queue/item- first
fk-kazoo create -s /app/queue/item- second
"""

FILES = {
    "app.py": """
        from kazoo.client import KazooClient

        zk = KazooClient("zk1:2181")
        zk.start()
        print(zk.get("/app/config")[0].decode())
        zk.stop()
    """,
    "holder.py": """
        import signal

        from fk_kazoo.client import KazooClient

        zk = KazooClient()
        zk.start()
        with zk.Lock("/locks/report", "host-7"):
            print("it is mine")
            signal.pause()
    """,
}

SESSIONS: Dict[str, str] = {
    "ls": """
        fk-kazoo ls /app
        fk-kazoo ls -l /app
        fk-kazoo ls -R
        fk-kazoo ls --json /app
    """,
    "tree": """
        fk-kazoo tree
        fk-kazoo tree /app --depth 1
    """,
    "get": """
        fk-kazoo get /app/config
        fk-kazoo get /app/config --json | head -4
        fk-kazoo get /app/none
        echo $?
    """,
    "stat": """
        fk-kazoo stat /app/queue
    """,
    "find": """
        fk-kazoo find --name 'item-*'
        fk-kazoo find /app --data debug
        fk-kazoo find --larger 1k
    """,
    "set": """
        fk-kazoo set /app/config '{"debug": true}' --version 0
        fk-kazoo set /app/config '{}' --version 0
        echo $?
        fk-kazoo get /app/config | tr a-z A-Z | fk-kazoo set /app/config -
        fk-kazoo get /app/config
    """,
    "create": """
        fk-kazoo create -s /app/queue/item- third
        fk-kazoo create --ttl 10m /app/cache --acl world:anyone:r
        fk-kazoo create /app/config
        echo $?
        fk-kazoo create -e /app/me &
        fk-kazoo find --ephemeral
        kill -INT %1
        fk-kazoo find --ephemeral
    """,
    "rm": """
        fk-kazoo rm /app/queue
        echo $?
        fk-kazoo rm -r /app/queue
        fk-kazoo ls /app
    """,
    "acl": """
        fk-kazoo acl /app/config --set world:anyone:r,password:admin:secret:cdrwa
        fk-kazoo set /app/config '{}'
        fk-kazoo set /app/config '{}' --auth digest:admin:secret
    """,
    "cp": """
        fk-kazoo cp -r /app /old/app
        fk-kazoo create /old
        fk-kazoo cp -r /app /old/app
        fk-kazoo create -s /old/app/queue/item-
    """,
    "edit": """
        EDITOR='sed -i s/false/true/' fk-kazoo edit /app/config
        fk-kazoo get /app/config
    """,
    "watch": """
        fk-kazoo watch /app --recursive --count 3 &
        fk-kazoo set /app/config '{}'
        fk-kazoo create -s /app/queue/item-
        fk-kazoo rm /app/config
        wait
    """,
    "copy": """
        fk-kazoo copy local://app tree.gz
        zcat tree.gz | tail -1
        fk-kazoo copy tree.gz local://other --dry-run
        fk-kazoo copy tree.gz local://other --verify
        fk-kazoo set /app/config '{}'
        fk-kazoo copy local://app local://other
        echo $?
        fk-kazoo copy local://app local://other --on-conflict overwrite
        fk-kazoo copy local://app local://other --mirror --cut-over
    """,
    "compare": """
        fk-kazoo copy local://app tree.gz
        fk-kazoo compare tree.gz local://app
        fk-kazoo create -s /app/queue/item-
        fk-kazoo compare tree.gz local://app
        echo $?
    """,
    "backup": """
        fk-kazoo backup local://app app.backup
        fk-kazoo backup local://app app.backup
        echo $?
    """,
    "restore": """
        fk-kazoo backup local://app app.backup
        fk-kazoo restore app.backup local://app2
        fk-kazoo tree /app --url local://app2
        fk-kazoo restore app.backup local://app2
        echo $?
    """,
    "sessions": """
        fk-kazoo create -e /app/me &
        fk-kazoo sessions
        kill -INT %1
    """,
    "locks": """
        tail -3 holder.py
        python holder.py &
        fk-kazoo locks
        kill %1
    """,
    "doctor": """
        fk-kazoo doctor
    """,
    "top": """
        fk-kazoo top -n 2 --interval 0.1
    """,
    "console": """
        fk-kazoo console --write &
        kill -INT %1
    """,
    "bench": """
        fk-kazoo bench --seconds 0.1
    """,
    "shell": """
        printf 'cd /app\\nls\\nrm queue\\nget config\\n' | fk-kazoo shell
    """,
    "run": """
        cat app.py
        fk-kazoo run app.py
    """,
    "serve": """
        fk-kazoo serve local://app --listen 127.0.0.1:0 &
        kill %1
    """,
    "init": """
        fk-kazoo init local://shared --group developers
    """,
    "deployments": """
        fk-kazoo deployments
    """,
    "destroy": """
        fk-kazoo destroy local://app --yes
        echo $?
        fk-kazoo destroy local://app --yes --force
    """,
    "cost": """
        fk-kazoo cost --reads 100,000 --writes 10_000
    """,
    "completion": """
        fk-kazoo completion bash > fk-kazoo.bash
        head -3 fk-kazoo.bash
    """,
}

EMULATED: Dict[str, str] = {
    "deploy": """
        fk-kazoo deploy prod --package functions.zip --yes > deployed.txt 2> progress
        grep -c '^Add' deployed.txt
        fk-kazoo deploy prod --package functions.zip --yes
    """,
    "status": """
        fk-kazoo deploy prod --package functions.zip --yes > deployed.txt 2> progress
        fk-kazoo status prod | head -3
        fk-kazoo status absent
        echo $?
    """,
    "rollback": """
        fk-kazoo deploy prod --package functions.zip --yes > deployed.txt 2> progress
        fk-kazoo deploy prod --package newer.zip --yes > deployed.txt 2> progress
        fk-kazoo rollback prod --yes 2> progress
        fk-kazoo rollback prod --list
    """,
    "package": """
        fk-kazoo package --platform host -o functions.zip
    """,
    "verify": """
        fk-kazoo verify --emulator --quick --only 'same message' --report proof > proof.txt 2> progress
        echo $?
        grep '| held |' proof.md | cut -d'|' -f2,3,5
    """,
    "dev aws": """
        fk-kazoo dev aws &
        kill -INT %1
        echo $?
    """,
}
"""What needs the emulated AWS: for `tests.aws`, which has one."""


def _measured(found: "Match[str]") -> str:
    name = found[1].rstrip()
    return "%-16s %10d" % (name, 1000) + (3 * "%10.2f" % (0.25, 0.5, 0.75) if name != "set, pipelined" else 30 * " ")


FIGURES: Dict[str, List[Fixed]] = {
    "doctor": [(r"after \d+\.\d s", "after 2.0 s")],
    "deployments": [(r" +\d+\.\d [kM]B", " 128.0 kB")],
    "top": [(r"ms \d+\.\d+", "ms 0.25")],
    "bench": [(r"^([a-z, ]+) +[\d. ]+$", _measured)],
    "package": [(r"\b[0-9a-f]{64}\b", "9f86d081" * 8), (r"\d+\.\d MB", "7.0 MB")],
}
"""What else differs from run to run."""


def _releases() -> Fixed:
    """What a release is called follows from the package and the template. Here: from when it is first printed."""
    names: Dict[str, str] = {}
    return r"\b[0-9a-f]{8}(?= of \d)", lambda found: names.setdefault(found[0], "%08x" % (0x3F2A9C01 + len(names)))


def template(directory: Path) -> Tuple[Path, str]:
    """What each begins with, and its session."""
    home = directory / "home"
    with Terminal(directory, {"FK_KAZOO_HOME": str(home)}) as terminal:
        return home, terminal.session(BEFORE)


def played(command: str, directory: Path, before: Path, **variables: str) -> str:
    """The session of a command, in an empty directory. ``variables``: of the emulated AWS, for those that need it."""
    home, work = directory / "home", directory / "work"
    shutil.copytree(before, home, ignore=shutil.ignore_patterns("*.sock"))
    work.mkdir()
    for name, text in FILES.items():
        (work / name).write_text(textwrap.dedent(text).lstrip("\n"))
    for name in ("functions", "newer"):
        with zipfile.ZipFile(work / (name + ".zip"), "w") as package:
            package.writestr("module.py", name)
    group = grp.getgrgid(os.getgid()).gr_name
    lines = textwrap.dedent({**SESSIONS, **EMULATED}[command])
    variables = {"FK_KAZOO_HOME": str(home), "FK_KAZOO_URL": "local://app", **variables}
    fixed: List[Fixed] = [(str(home), "/home/me/.fk_kazoo")]
    if "developers" in lines:
        fixed.append((r"\b%s\b" % group, "developers"))
    with Terminal(work, variables, [_releases(), *fixed, *FIGURES.get(command, ())]) as terminal:
        return terminal.session(lines.replace("developers", group)).replace("--group " + group, "--group developers")
