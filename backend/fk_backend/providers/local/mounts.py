"""Which file systems are of another machine: SQLite's log needs memory that all its users share, so one kernel.

Source: https://sqlite.org/wal.html ("WAL does not work over a network filesystem"); proc_pid_mountinfo(5). Where the
system has no such list (macOS), nothing is known, and nothing is refused.
"""

from __future__ import annotations

import os
import re
from typing import Optional

MOUNTS = "/proc/self/mountinfo"
OF_OTHERS = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|afs|ceph|lustre|gpfs|ocfs2|gfs2?|fuse\.(sshfs|glusterfs|ceph.*|s3fs|gcsfuse|rclone)"
)


def network(path: str, mounts: str = MOUNTS) -> Optional[str]:
    """The kind of file system, if others may have it, too; None if it is this machine's, or not known. OSError."""
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return None
    real = os.path.realpath(path)
    best, kind = "", ""
    for line in lines:
        before, _, after = line.partition(" - ")
        point = (before.split(" ") + [""] * 5)[4]
        if "\\" in point:
            point = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), point)
        under = point == "/" or real == point or real.startswith(point + "/")
        if under and len(point) >= len(best):  # the last of those at one point hides the others
            best, kind = point, after.partition(" ")[0]
    return kind if OF_OTHERS.fullmatch(kind) else None
