"""``fk-kazoo run``: interpreters that the app starts anew have their client swapped too, and nothing else changed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import List

import pytest

from tests.client import apps

WHO = """
def who(*_):
    import os, sys
    from kazoo.client import KazooClient
    client = KazooClient("10.0.0.1:2181")
    return "%s %s" % (KazooClient.__module__, getattr(client, "deployment", None))
"""
EXPECTED = "fk_kazoo.client memory://children"
ENVIRON = {"FK_KAZOO_URL": "memory://children"}


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("by", ["script", "module"])
def test_multiprocessing(tmp_path: Path, method: str, by: str) -> None:
    """Processes, pools and executors; and what they start themselves."""
    source = """
        import multiprocessing, concurrent.futures
        def deeper(queue, method):
            inner = multiprocessing.get_context(method).Process(target=tell, args=(queue,))
            inner.start(); inner.join()
        def tell(queue):
            queue.put(who())
        if __name__ == "__main__":
            context = multiprocessing.get_context(METHOD)
            queue = context.Queue()
            for work, arguments in ((tell, (queue,)), (deeper, (queue, METHOD))):
                process = context.Process(target=work, args=arguments)
                process.start(); process.join()
                print(queue.get(timeout=20))
            with context.Pool(1) as pool:
                print(*pool.map(who, [0]))
            with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as executor:
                print(executor.submit(who).result())
        """.replace("METHOD", repr(method))
    path = apps.app(tmp_path, source)
    path.write_text(WHO + path.read_text())
    named = ["app.py"] if by == "script" else ["-m", "app"]
    assert apps.run(*named, cwd=tmp_path, environ=ENVIRON) == (EXPECTED + "\n") * 4


@pytest.mark.parametrize(
    "call",
    [
        "subprocess.check_call([sys.executable, 'child.py'])",
        "subprocess.check_call([sys.executable, '-c', 'import child'])",
        "subprocess.check_call([sys.executable, '-m', 'child'])",
        "subprocess.check_call([sys.executable, '-c', 'import os, sys; os.system(sys.executable + \" child.py\")'])",
        "os.system(sys.executable + ' child.py')",
        "os.execv(sys.executable, [sys.executable, 'child.py'])",
    ],
)
def test_other_interpreters(tmp_path: Path, call: str) -> None:
    (tmp_path / "child.py").write_text(WHO + "print(who())\n")
    apps.app(tmp_path, "import os, subprocess, sys\n" + call)
    assert apps.run("app.py", cwd=tmp_path, environ=ENVIRON) == EXPECTED + "\n"


LOOK = """
import sys
print(sys.argv, sys.path[0], [entry for entry in sys.path if "fk_kazoo" in entry and "children" in entry])
early = ("kazoo", "threading", "socket", "ssl", "select", "queue")
print(sorted(name for name in sys.modules if name.split(".")[0] in early))
print(getattr(sys.modules.get("sitecustomize"), "__file__", "none").replace("\\\\", "/").split("/")[-2:])
"""


@pytest.mark.parametrize("own", [False, True])
def test_an_interpreter_is_as_it_would_be(tmp_path: Path, own: bool) -> None:
    """Its arguments, its path, and what is imported; an app's own sitecustomize has run, and has its name."""
    (tmp_path / "child.py").write_text(LOOK)
    apps.app(tmp_path, "import subprocess, sys\nsubprocess.check_call([sys.executable, 'child.py', 'x'])")
    if own:
        apps.app(tmp_path, "print('the own one')", name="site/sitecustomize.py")
    paths = [str(tmp_path / "site")] * own + [path for path in sys.path if path and path != str(tmp_path)]
    environ = {"PYTHONPATH": ":".join(paths)}
    plain = apps.python("app.py", cwd=tmp_path, environ=environ).stdout
    ours = apps.run("app.py", cwd=tmp_path, environ=environ)
    assert ours.splitlines()[:-1] == plain.splitlines()[:-1]
    assert ("the own one" in ours) == own
    if own:
        assert ours == plain


def test_an_interpreter_without_fk_kazoo_refuses(tmp_path: Path) -> None:
    """Another environment's, say: it would look for a ZooKeeper."""
    (tmp_path / "kazoo").mkdir()
    (tmp_path / "kazoo" / "__init__.py").touch()
    (tmp_path / "kazoo" / "client.py").touch()
    child = "import sys; sys.path.insert(0, %r); import kazoo.client" % str(tmp_path)
    call: List[str] = [sys.executable, "-s", "-c", child]
    code = """
        import fk_kazoo.run, os, subprocess, sys
        bare = os.environ["PYTHONPATH"].split(os.pathsep)[0]
        base = os.path.realpath(sys.executable)
        done = subprocess.run([base, "-c", CHILD], env={"PYTHONPATH": bare}, capture_output=True, text=True)
        print(done.returncode, "has no fk_kazoo" in done.stderr)
        """.replace("CHILD", repr(call[-1]))
    apps.app(tmp_path, code)
    assert apps.run("app.py", cwd=tmp_path) == "1 True\n"


@pytest.mark.parametrize("flag", ["-E", "-S"])
def test_where_it_can_not_follow_it_says_so(tmp_path: Path, flag: str) -> None:
    apps.app(tmp_path, "print('ran')")
    paths = [path for path in sys.path if path]
    code = (
        "import sys; sys.path[:0] = %r; from fk_kazoo.__main__ import main; sys.exit(main(['run', 'app.py']))" % paths
    )
    done = apps.python(flag, "-c", code, cwd=tmp_path)
    assert done.stdout == "ran\n" and "use kazoo's own client" in done.stderr
