"""On a terminal: what is live, what is typed, and what Ctrl-C does."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Sequence

import pexpect
import pytest
from kazoo.security import make_acl

from .conftest import Run

URL = "local://app"
Start = Callable[..., Any]
END_S = 120
"""However busy the machine is."""


def _hears_ctrl_c() -> None:
    """Who runs tests in the background ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def on_terminal(words: Sequence[str], columns: int, environ: Dict[str, str]) -> Any:
    """A command, begun."""
    variables: Dict[str, str] = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "PYTEST_VERSION")}
    variables.update(TERM="xterm-256color", PROMPT_TOOLKIT_NO_CPR="1", **environ)
    return pexpect.spawn(sys.executable, ["-m", "fk_kazoo", *words], env=variables, dimensions=(24, columns),
                         timeout=END_S, encoding="utf-8", preexec_fn=_hears_ctrl_c)  # fmt: skip


@pytest.fixture
def start(home: Path, tmp_path: Path) -> Iterator[Start]:
    """``start("top")``: the command on a terminal of 80 columns."""
    begun = []

    def call(*words: str, columns: int = 80, **environ: str) -> Any:
        more = {"FK_KAZOO_URL": URL, "XDG_STATE_HOME": str(tmp_path / "state"), **environ}
        begun.append(on_terminal(words, columns, more))
        return begun[-1]

    yield call
    for one in begun:
        one.close(force=True)


def ended(child: Any) -> int:
    """The exit code, once it has ended; what it said last is in ``child.before``."""
    child.expect(pexpect.EOF)
    child.wait()
    return int(child.exitstatus)


def test_top_is_live_and_ends_by_ctrl_c(run: Run, start: Start) -> None:
    run("create", "/a", "--url", URL)
    child = start("top", "--interval", "0.2")
    child.expect(r"local://app  \d\d:\d\d:\d\d")
    child.expect(r"\d +a read from here, ms")
    child.expect(r"\d +a write from here, ms")
    run("create", "/b", "--url", URL)
    child.expect(r"[1-9]\.\d +[1-9][0-9.]* +writes a second")
    child.sendintr()
    assert ended(child) == 130
    assert "interrupted" in child.before and "\x1b[?25h" in child.before, "the cursor is shown again"
    assert "Traceback" not in child.before


def test_top_where_it_is_narrow_and_without_colour(run: Run, start: Start) -> None:
    run("create", "/a", "--url", URL)
    child = start("top", "-n", "1", "--interval", "0.1", columns=20, NO_COLOR="1")
    assert ended(child) == 0 and "0.0  writes" in child.before and "\x1b[3" not in child.before


@pytest.mark.parametrize("target", ["local", "zookeeper"])
def test_top_in_a_pipe(run: Run, target: str, request: pytest.FixtureRequest, client: Callable[..., Any]) -> None:
    url: str = URL if target == "local" else request.getfixturevalue("zookeeper")
    client(url).create("/mine", b"", ephemeral=True)
    done = run("top", "--url", url, "-n", "2", "--interval", "0.1", "--json")
    first, second = map(json.loads, done.out.splitlines())
    assert done.code == 0 and first["sessions"] >= 1 and first["read_ms"] > 0 and second["time_ms"] > first["time_ms"]
    assert (first["queue"] is None) == (target == "local") and first["writes_per_s"] is not None
    assert first["write_ms"] > 0 and first["writes_per_s"] == 0, "its own writes are none"
    assert first["reads_per_s"] is None and first["function_ms"] is None, "nobody tells"
    if target == "local":
        assert first["holders"] == 1 and first["usd_per_hour"] == 0
    assert "writes a second" in run("top", "--url", url, "-n", "1", "--interval", "0.1").out


def test_top_writes_nothing_where_it_may_not(run: Run, start: Start, client: Callable[..., Any]) -> None:
    client(URL).set_acls("/", [make_acl("world", "anyone", read=True)])
    child = start("top", "-n", "1", "--interval", "0.1")
    assert ended(child) == 0
    assert "writes from here are not measured: NoAuthError" in child.before
    assert "a write from here" not in child.before and "a read from here" in child.before


def test_what_top_writes_goes_with_it(run: Run, client: Callable[..., Any]) -> None:
    one = client(URL)
    before = one.exists("/").cversion
    assert run("top", "--url", URL, "-n", "1", "--interval", "0.1").code == 0
    assert one.exists("/").cversion > before and one.get_children("/") == ["zookeeper"]


def test_the_shell_completes_and_remembers(run: Run, start: Start) -> None:
    run("create", "-p", "/app/config", "hello", "--url", URL)
    child = start("shell")
    child.expect("local://app />")
    child.send("get /app/co\t")
    child.expect("nfig")
    child.sendline("")
    child.expect("hello")
    child.sendintr()  # a line that is given up is no end
    child.sendline("get /none")
    child.expect("no such node")
    child.sendline("exit")
    assert ended(child) == 0
    child = start("shell")
    child.expect("local://app />")
    child.send("\x1b[A\x1b[A\r")  # two lines up in the history
    child.expect("no such node")
    child.expect("/>")
    child.sendeof()
    assert ended(child) == 0


def test_watch_ends_by_ctrl_c(run: Run, start: Start) -> None:
    run("create", "/a", "--url", URL)
    child = start("watch", "/a")
    child.expect("watching /a")
    run("set", "/a", "1", "--url", URL)
    child.expect("changed +/a")
    child.sendintr()
    assert ended(child) == 130 and "Traceback" not in child.before


def test_what_is_stored_does_not_drive_a_terminal(run: Run, client: Callable[..., Any], start: Start) -> None:
    """Escape sequences in data, in names of identities, and in names that turn the direction of writing around."""
    one = client(URL)
    one.create("/a", b"\x1b]0;title\x07\x1b[2Jtext\n\tmore")
    one.create("/a/\u202egpj", b"")
    one.set_acls("/a", [make_acl("digest", "\x1b[31mme:x", read=True), *one.get_acls("/")[0]])
    child = start("shell")
    for words, says in (
        ("get /a", r"\\x1b\]0;title\\x07\\x1b\[2Jtext\r\n\tmore"),
        ("ls /a", r"\\u202egpj"),
        ("ls /a --json", r"\\u202egpj"),
        ("tree /a", r"─ \\u202egpj"),
        ("acl /a", r"\\x1b\[31mme"),
        ("get /\u202enone", r"node: /\\u202enone"),
    ):
        child.expect("/>")
        child.sendline(words)
        child.expect(says)
    assert "\x1b]0;title" in run("get", "/a", "--url", URL).out, "a pipe gets it byte for byte"
