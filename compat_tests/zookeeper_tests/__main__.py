"""Runs ZooKeeper's own Java tests against a gateway on a new deployment, and says what became of each.

python -m compat_tests.zookeeper_tests [--memory] [--beside-zookeeper] [CLASS ...]

The deployment is local://, or memory://.

Beside a ZooKeeper: the same classes on a real one, in the same run, and what fails on both is told apart.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Dict, List, Sequence

from fk_backend.providers import provider
from tests.differential.zookeeper_server import ZookeeperServer, unavailable

from .build import NotBuilt, build
from .chosen import CLASSES, reason

DIRECTORY = Path(__file__).resolve().parents[2] / ".cache/zookeeper-tests"
SUPER_DIGEST = "super:D/InIHSb7yEEbrWz8b9l71RjZJU="
"""Of super:test, which ZooKeeper's tests use."""
CLASS_S = 400
_TEST = re.compile(r"[├└]─ (?:(\w+)\(.*?\)|\[(\d+)\] .*?)(?: \d+ ms)? ([✔✘■])")
PASSED, FAILED, ABORTED = "✔", "✘", "■"


def outcomes(classes: Sequence[str], class_path: str, hosts: str, scratch: Path) -> Dict[str, str]:
    """Class.test → how it ended. What a class printed is shown if anything unexpected is in it."""
    found: Dict[str, str] = {}
    for name in classes:
        short = name.rpartition(".")[2]
        command = [
            "java", "-Xmx300m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dexternal=" + hosts,
            "-Dbuild.test.dir=%s" % (scratch / "build"), "-Dzookeeper.extendedTypesEnabled=true",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=off",
            "-Dzookeeper.DigestAuthenticationProvider.superDigest=" + SUPER_DIGEST, "-cp", class_path,
            "org.junit.platform.console.ConsoleLauncher", "--disable-banner", "--details=tree", "--disable-ansi-colors",
            "-c", "org.apache.zookeeper." + name,
        ]  # fmt: skip
        try:
            done = subprocess.run(
                command, cwd=scratch, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=CLASS_S
            )
            said = done.stdout
        except subprocess.TimeoutExpired as error:
            said = (error.stdout or b"").decode("utf-8", "replace") if isinstance(error.stdout, bytes) else ""
            found[short + ".(its end)"] = FAILED
        here = _marks(short, said)
        found.update(here or {short + ".(nothing ran)": FAILED})
        if any(each != PASSED and reason(test) is None for test, each in (here or {short: FAILED}).items()):
            print(said[-8000:], flush=True)
        print("%s: %d of %d passed" % (short, sum(m == PASSED for m in here.values()), len(here)), flush=True)
    return found


def _marks(name: str, said: str) -> Dict[str, str]:
    """Class.test → mark. Of a test with parameters each round, and not the test as a whole, which always ends well."""
    found: Dict[str, str] = {}
    test = ""
    for named, of_round, mark in _TEST.findall(said):
        test = "%s.%s" % (name, named) if named else test
        if of_round:
            found.pop(test, None)
        found["%s[%s]" % (test, of_round) if of_round else test] = mark
    return found


def table(found: Dict[str, str], theirs: Dict[str, str]) -> int:
    """Prints what became of the tests, here and on a ZooKeeper; 1 if one failed that says something about a server."""
    left = {test: reason(test) for test, mark in found.items() if mark != PASSED}
    left_out = {test: why for test, why in left.items() if why is not None}
    failed = [test for test, why in left.items() if why is None and theirs.get(test, PASSED) == PASSED]
    both = sorted(test for test in left if theirs.get(test, PASSED) != PASSED)
    for test, why in sorted(left_out.items()):
        print("    %s: %s%s" % (test, why, " (so on ZooKeeper)" if test in both else ""))
    passed = sum(mark == PASSED for mark in found.values())
    print("ZooKeeper 3.8's tests: %d found, %d passed, %d not applicable, %d failed %s" % (
        len(found), passed, len(left_out), len(failed), " ".join(failed)))  # fmt: skip
    if theirs:
        passed = sum(mark == PASSED for mark in theirs.values())
        only = sorted(test for test, mark in theirs.items() if mark != PASSED and found.get(test) == PASSED)
        print("on ZooKeeper 3.8 itself: %d found, %d passed; of those that did not pass here, %d did not there; "
              "passed here alone: %s" % (len(theirs), passed, len(both), " ".join(only) or "none"))  # fmt: skip
    return 1 if failed else 0


def _on_local(home: Path) -> List[str]:
    """The command of a gateway, after its deployment has got a super user."""
    provider("local").check("java", {})
    (home / "java/super.digest").write_text(SUPER_DIGEST)
    options = ["--listen", "127.0.0.1:0", "--words", "*", "--max-client-cnxns", "0"]
    return [sys.executable, "-m", "fk_kazoo", "serve", "local://java", *options]


def _on_memory() -> List[str]:
    return [sys.executable, "-m", "compat_tests.zookeeper_tests.in_memory", SUPER_DIGEST]


def main(argv: List[str]) -> int:
    """The exit code; 2 if they can not be built here."""
    beside = "--beside-zookeeper" in argv
    classes = [each for each in argv if not each.startswith("--")] or CLASSES
    if beside and unavailable() is not None:
        print("there is no ZooKeeper here: %s" % unavailable(), file=sys.stderr)
        return 2
    try:
        DIRECTORY.mkdir(parents=True, exist_ok=True)
        class_path = ":".join(build(DIRECTORY, CLASSES))
    except NotBuilt as error:
        print("ZooKeeper's tests were not built: %s" % error, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as home:
        os.environ["FK_KAZOO_HOME"] = home
        serving = _on_memory() if "--memory" in argv else _on_local(Path(home))
        with subprocess.Popen(serving, stdout=subprocess.PIPE, text=True) as gateway:
            assert gateway.stdout is not None
            port = gateway.stdout.readline().strip().rpartition(":")[2]
            try:
                found = outcomes(classes, class_path, "127.0.0.1:" + port, Path(home))
            finally:
                gateway.terminate()
        theirs: Dict[str, str] = {}
        if beside:
            with ZookeeperServer(Path(home), super_digest=SUPER_DIGEST) as server:
                theirs = outcomes(classes, class_path, server.hosts, Path(home))
        return table(found, theirs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
