"""Fetches ZooKeeper's sources and what its tests need from Debian, gives its ``ClientBase`` a server, and compiles.

Everything goes below one directory; nothing is installed. It needs Debian 12 with the package zookeeper, and javac.
"""

from __future__ import annotations

import glob
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import List, Sequence

SOURCES = """Types: deb deb-src
URIs: http://deb.debian.org/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: http://deb.debian.org/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""
PACKAGES = """junit5 libapiguardian-java libbyte-buddy-java libcommons-collections4-java libhamcrest-java
libmockito-java libobjenesis-java libopentest4j-java libpicocli-java libunivocity-parsers-java""".split()
INSTALLED = """zookeeper.jar zookeeper-jute.jar slf4j-api.jar slf4j-simple.jar snappy-java.jar metrics-core.jar
commons-io.jar commons-cli.jar commons-lang*.jar netty-*.jar jackson-*.jar jetty9-*.jar *servlet-api*.jar
json-simple*.jar jline*.jar""".split()
TESTS = Path("zookeeper-server/src/test/java")
NEEDS_A_SERVER = ' throw new org.opentest4j.TestAbortedException("it needs a server of its own"); '
SET_UP = """
        setupCustomizedEnv();
        JMXEnv.setUp();
        setUpAll();
        tmpDir = createTmpDir(testBaseDir, true);
        clearTree();
    """
CLEAR_TREE = """    private void clearTree() throws Exception {
        ZooKeeper zk = createZKClient(hostPort);
        zk.addAuthInfo("digest", "super:test".getBytes());
        for (String name : zk.getChildren("/", false)) {
            if (!name.equals("zookeeper")) {
                ZKUtil.deleteRecursive(zk, "/" + name);
            }
        }
        if (!zk.getACL("/", new org.apache.zookeeper.data.Stat()).equals(ZooDefs.Ids.OPEN_ACL_UNSAFE)) {
            zk.setACL("/", ZooDefs.Ids.OPEN_ACL_UNSAFE, -1);
        }
        zk.close();
    }

"""
CHANGES = (
    ('hostPort = "127.0.0.1:" + PortAssignment.unique()', 'hostPort = System.getProperty("external")'),
    ("\n                JMXEnv.ensureAll(getHexSessionId(zk.getSessionId()));", ""),
    ("        stopServer();\n\n        if (tmpDir", "        if (tmpDir"),
    ("    protected void tearDownAll()", CLEAR_TREE + "    protected void tearDownAll()"),
    ("import org.apache.zookeeper.ZooKeeper;", "import org.apache.zookeeper.*;"),
)
"""Of ``ClientBase``: what is there once, and what takes its place."""


class NotBuilt(Exception):
    """What is missing, or why it could not be built."""


def build(place: Path, classes: Sequence[str]) -> List[str]:
    """The class path of the compiled tests. NotBuilt."""
    if not shutil.which("javac") or not shutil.which("apt-get"):
        raise NotBuilt("it takes apt-get and javac, on Debian")
    done = place / "built"
    wanted = " ".join(classes)
    if not done.exists() or done.read_text() != wanted:
        _fetch(place)
        _adapt(place / "tests/org/apache/zookeeper/test/ClientBase.java")
        _compile(place, classes)
        done.write_text(wanted)
    return [str(place / "classes"), str(place / "tests"), *_jars(place)]


def _run(command: Sequence[str], within: Path) -> None:
    done = subprocess.run(command, cwd=within, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise NotBuilt("%s:\n%s" % (" ".join(command)[:300], done.stdout[-3000:]))


def _fetch(place: Path) -> None:
    for name in ("lists/partial", "archives/partial", "debs", "jars"):
        (place / name).mkdir(parents=True, exist_ok=True)
    (place / "debian.sources").write_text(SOURCES)
    options = {
        "Dir::Etc::sourcelist": place / "debian.sources", "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": place / "lists", "Dir::Cache": place,
    }  # fmt: skip
    apt = ["apt-get", "-qq", *(word for each in options.items() for word in ("-o", "%s=%s" % each))]
    _run([*apt, "update"], place)
    _run([*apt, "source", "--download-only", "zookeeper"], place)
    _run([*apt, "download", *PACKAGES], place / "debs")
    for package in sorted((place / "debs").glob("*.deb")):
        _run(["dpkg-deb", "-x", str(package), str(place / "jars")], place)
    (archive,) = place.glob("zookeeper_*.orig.tar.gz")
    with tarfile.open(archive) as sources:
        top = sources.getnames()[0].split("/")[0]
        wanted = [each for each in sources.getmembers() if each.name.startswith("%s/%s/" % (top, TESTS))]
        sources.extractall(place / "sources", wanted)
    shutil.rmtree(place / "tests", ignore_errors=True)
    shutil.copytree(place / "sources" / top / TESTS, place / "tests")


def _adapt(base: Path) -> None:
    """``ClientBase`` connects to where it is told and clears the tree, instead of starting and stopping a server."""
    text = base.read_text()
    for old, new in CHANGES:
        if text.count(old) != 1:
            raise NotBuilt("ClientBase is another one than it was: %r" % old)
        text = text.replace(old, new)
    text = _with_body(text, "protected void setUpWithServerId(", SET_UP)
    text = _with_body(text, "protected void startServer() throws", NEEDS_A_SERVER)
    text = _with_body(text, "protected void stopServer() throws", NEEDS_A_SERVER)
    base.write_text(text)


def _with_body(text: str, head: str, body: str) -> str:
    """With another body of one method."""
    start = end = text.index("{", text.index(head))
    depth = 0
    while True:
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        end += 1
        if not depth:
            return text[: start + 1] + body + text[end - 1 :]


def _jars(place: Path) -> List[str]:
    installed = [jar for name in INSTALLED for jar in sorted(glob.glob("/usr/share/java/" + name))]
    return installed + sorted(str(each) for each in (place / "jars/usr/share/java").glob("*.jar") if _is_wanted(each))


def _is_wanted(jar: Path) -> bool:
    """Each once, by its name without a version, and of JUnit nothing that has a main program of its own."""
    others = ("standalone", "runner", "suite", "vintage", "maven", "hamcrest-")
    return not any(part in jar.name for part in others) and (jar.is_symlink() or "univocity" in jar.name)


def _compile(place: Path, classes: Sequence[str]) -> None:
    shutil.rmtree(place / "classes", ignore_errors=True)
    (place / "classes").mkdir()
    files = [str(place / "tests/org/apache/zookeeper" / (name.replace(".", "/") + ".java")) for name in classes]
    path = ":".join(_jars(place))
    command = ["javac", "-nowarn", "-J-Xmx512m", "-d", str(place / "classes"), "-sourcepath", str(place / "tests")]
    _run([*command, "-cp", path, *files], place)
