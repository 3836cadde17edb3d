"""Who is answered, and what: nobody without the link, nothing that crosses sites, no change without --write."""

from __future__ import annotations

import base64
import http.client
import json
import re
import signal
import subprocess
import sys
import time
from typing import Any, Callable, Dict, List, Optional, Tuple
from urllib.parse import quote, urlsplit

import pytest

from fk_kazoo.console.answers import PAGE
from fk_kazoo.console.server import FILES, Console

Answer = Tuple[int, Any, Dict[str, str]]


def ask(
    console: Console, what: str, method: str = "GET", body: Optional[object] = None, link: str = "", **headers: str
) -> Answer:
    """Status, what was said, and the headers. ``link``: instead of the console's own."""
    target = urlsplit(console.link)
    connection = http.client.HTTPConnection("127.0.0.1", target.port or 0, timeout=30)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    if body is not None:
        given.setdefault("Content-Type", "application/json")
    try:
        connection.request(method, (link or target.path) + what, None if body is None else json.dumps(body), given)
        answer = connection.getresponse()
        said = answer.read()
        is_json = answer.headers["content-type"] == "application/json"
        return answer.status, json.loads(said) if is_json else said, {k.lower(): v for k, v in answer.headers.items()}
    finally:
        connection.close()


def test_nobody_is_answered_without_the_link(console: Console) -> None:
    """Neither the page nor its parts nor a question; nor by another name of this machine, nor from another page."""
    token = urlsplit(console.link).path.strip("/")
    assert len(token) >= 32
    for link in ("/", "//", "/x/", "/%s/" % token[:-1], "/%sx/" % token, "/%s/" % token.swapcase(), "/../", "/%00/"):
        for what in ("", "console.js", "api/place", "api/events"):
            assert ask(console, what, link=link)[0] == 403, (link, what)
    port = urlsplit(console.link).port
    for headers, status in (
        ({}, 200),
        ({"Host": "localhost:%d" % port}, 200),
        ({"Host": "evil.example:%d" % port}, 403),
        ({"Host": "127.0.0.1"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:%d" % port}, 200),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Sec_Fetch_Site": "same-origin"}, 200),
    ):
        assert ask(console, "api/place", **headers)[0] == status, headers


def test_it_listens_on_the_loopback_interface_only(console: Console) -> None:
    assert console._socket.getsockname()[0] == "127.0.0.1"


def test_nothing_comes_from_elsewhere(console: Console) -> None:
    """Every answer forbids it, refusals too; and the page has nothing of the kind in it."""
    for link in ("", "/x/"):
        headers = ask(console, "", link=link)[2]
        assert "default-src 'none'" in headers["content-security-policy"] and headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer" and "unsafe" not in headers["content-security-policy"]
    for file in FILES.iterdir():
        text = file.read_text("utf-8")
        assert not re.search(r"https?://|//\w+\.\w|innerHTML|insertAdjacentHTML|eval\(|document\.write", text), file
    assert {one.name for one in FILES.iterdir()} == {"index.html", "console.css", "console.js"}


def test_what_is_shown(console: Console, client: Any) -> None:
    client.create("/app/bin", b"\xff\x00", [*client.get_acls("/")[0]])
    client.create("/app/mine", None, ephemeral=True)
    assert ask(console, "api/place")[1]["write"] is False
    children = ask(console, "api/children?path=/app")[1]
    assert [(one["name"], one["bytes"], one["ephemeral"]) for one in children["children"]] == [
        ("bin", 2, False),
        ("config", 15, False),
        ("mine", 0, True),
    ]
    node = ask(console, "api/node?path=/app/bin")[1]
    assert base64.b64decode(node["base64"]) == b"\xff\x00" and node["acl"] == ["world:anyone:cdrwa"]
    session = ask(console, "api/node?path=/app/mine")[1]["session"]
    (owner,) = [one for one in ask(console, "api/sessions")[1] if one["ephemerals"]]
    assert owner["session"] == session and owner["ephemerals"] == ["/app/mine"]
    assert client.Lock("/locks/a", "me").acquire()
    client.Queue("/queue").put(b"1")
    found = ask(console, "api/locks?path=/")[1]
    assert [(one["path"], one["contenders"][0]["data"]) for one in found["locks"]] == [("/locks/a", "me")]
    assert found["queues"] == [{"path": "/queue", "recipe": "queue", "length": 1}] and not found["cut"]


@pytest.mark.parametrize(
    ("what", "status", "says"),
    [
        ("api/node?path=/none", 404, "no such node"),
        ("api/children?path=/none", 404, "no such node"),
        ("api/locks?path=/none", 404, "no such node"),
        ("api/node?path=none", 400, "can't be a node's path"),
        ("api/node?path=/a/../b", 400, "can't be a node's path"),
        ("api/node?path=" + quote("/\x1b"), 400, "can't be a node's path"),
        ("api/cost", 400, "costs nothing by use"),
    ],
)
def test_bad_questions(console: Console, what: str, status: int, says: str) -> None:
    found = ask(console, what)
    assert found[0] == status and says in found[1]["error"], found


@pytest.mark.parametrize("what", ["x", "api/", "../cli.py", "%2e%2e/server.py", "page/index.html"])
def test_there_is_nothing_else(console: Console, what: str) -> None:
    assert ask(console, what)[0] == 404


def test_data_are_changed_with_write_only(console: Console, client: Any) -> None:
    asked = {"path": "/app/config", "base64": "eA==", "version": 0}
    assert ask(console, "api/node", "PUT", asked)[0] == 403
    assert ask(console, "api/node", "POST", asked)[0] == 405
    assert client.get("/app/config")[1].version == 0


def test_an_edit_checks_the_version(writable: Console, client: Any) -> None:
    """Who changed it meanwhile is not overwritten; and no form of another page can send it."""
    asked = {"path": "/app/config", "base64": "eA==", "version": 0}
    for headers in ({"Content_Type": "text/plain"}, {"Sec_Fetch_Site": "cross-site"}, {"Origin": "http://x"}):
        assert ask(writable, "api/node", "PUT", asked, **headers)[0] == 403, headers
    assert ask(writable, "api/node", "PUT", asked)[:2] == (200, {"version": 1})
    assert ask(writable, "api/node", "PUT", asked)[0] == 409
    assert client.get("/app/config")[0] == b"x"
    versions: List[Any] = ["x", -1, 1 << 31, float("inf"), float("nan")]
    for body in (
        {},
        [],
        "x",
        *({**asked, "version": one} for one in versions),
        {**asked, "base64": "!"},
        {**asked, "path": "x"},
    ):
        assert ask(writable, "api/node", "PUT", body)[0] == 400, body
    assert ask(writable, "api/node", "PUT", {**asked, "base64": "A" * (3 << 20)})[0] == 413


def test_children_are_paged(console: Console, client: Any) -> None:
    """Any number of them: what is asked for next is looked up in what was sorted before, as long as that is so."""
    names = ["n%04d" % number for number in range(3 * PAGE)]
    for answer in [client.create_async("/app/" + name, b"") for name in names]:
        answer.get()
    seen: List[str] = []
    while True:
        found = ask(console, "api/children?path=/app&after=" + (seen[-1] if seen else ""))[1]
        assert found["total"] == 3 * PAGE + 1
        seen += [one["name"] for one in found["children"]]
        if not found["more"]:
            break
    assert seen == ["config", *names]
    assert [one["name"] for one in ask(console, "api/children?path=/app&prefix=n0599")[1]["children"]] == ["n0599"]
    client.delete("/app/n0599")
    assert ask(console, "api/children?path=/app&prefix=n0599")[1]["total"] == 0, "what was kept is no older"


def test_changes_are_pushed(console: Console, client: Any) -> None:
    """Of what was looked at: its data, and children that come and go."""
    ask(console, "api/children?path=/app")
    target = urlsplit(console.link)
    connection = http.client.HTTPConnection("127.0.0.1", target.port or 0, timeout=30)
    connection.request("GET", target.path + "api/events")
    answer = connection.getresponse()

    def told() -> Dict[str, str]:
        while True:
            line = answer.fp.readline()
            if line.startswith(b"data: "):
                found: Dict[str, str] = json.loads(line[6:])
                return found

    assert told() == {"event": "connection", "path": "CONNECTED"}
    client.create("/app/new", b"")
    client.set("/app", b"1")
    found = [told(), told()]
    assert {"event": "child", "path": "/app"} in found or {"event": "created", "path": "/app/new"} in found
    assert any(one["path"] == "/app" and one["event"] == "changed" for one in [*found, *([] if found else [told()])])
    connection.close()


def test_the_command_prints_the_link_and_ends(client: Any, run_command: Callable[..., Any]) -> None:
    """By SIGINT, also while a page is open and listens."""
    child = run_command("console", "--json", "--quiet")
    link = json.loads("".join(child.stdout.readline() for _ in range(3)))["link"]
    target = urlsplit(link)
    connection = http.client.HTTPConnection("127.0.0.1", target.port or 0, timeout=30)
    connection.request("GET", target.path + "api/events")
    connection.getresponse().fp.readline()
    begun = time.monotonic()
    child.send_signal(2)
    assert child.wait(30) == 130 and time.monotonic() - begun < 20
    connection.close()


@pytest.fixture
def run_command(target: Any) -> Any:
    begun = []

    def call(*words: str) -> Any:
        from .conftest import URL

        one = subprocess.Popen(
            [sys.executable, "-m", "fk_kazoo", *words, "--url", URL],
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # else ignored in the background
        )
        begun.append(one)
        return one

    yield call
    for one in begun:
        one.kill()
        one.wait()
        one.stdout.close()  # type: ignore[union-attr]
