"""An app with a client is served as apps are: by gunicorn, uWSGI and Celery, with each kind of worker, really run.

What differs between them: whether they fork, with Python's knowledge or without; whether the app is loaded before that;
whether gevent or eventlet patch everything, and when. With ``--preload`` gunicorn's gevent worker patches after the app
was imported and its client made.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

from fk_kazoo.client import KazooClient

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
MODULE = "compat_tests.servers.served:application"
REQUESTS = 12
LONGEST_S = 1.9
"""A call whose answer nobody is told of takes until the next ping, more than three seconds, or for ever."""

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def environ(tmp_path: Path) -> Dict[str, str]:
    """For a server, with a deployment of its own."""
    for name in ("queue", "queue-control", "queue-results", "home"):
        (tmp_path / name).mkdir()
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "backend")]),
        "PYTHONWARNINGS": "ignore",
        "FK_KAZOO_HOME": str(tmp_path / "home"),
        "SERVED_URL": "local://served",
        "SERVED_QUEUE": str(tmp_path / "queue"),
    }


@pytest.fixture
def start(tmp_path: Path, environ: Dict[str, str]) -> Iterator[Start]:
    """Starts servers, which end with the test, with all that they forked."""
    running: List["subprocess.Popen[bytes]"] = []

    def server(*command: str, **more: str) -> "subprocess.Popen[bytes]":
        with (tmp_path / "log").open("ab") as log:
            running.append(
                subprocess.Popen(
                    [str(BIN / command[0]), *command[1:]],
                    cwd=ROOT,
                    env={**environ, **more},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )
        return running[-1]

    yield server
    for one in running:
        if one.poll() is None:
            os.killpg(one.pid, signal.SIGKILL)
        one.wait()


def _log(tmp_path: Path) -> str:
    return (tmp_path / "log").read_text(errors="replace")[-5000:]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ask(port: int, server: "subprocess.Popen[bytes]") -> Any:
    """An answer; the server may not listen yet."""
    deadline = time.monotonic() + 40
    while True:
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d/" % port, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.read().decode()
        except (OSError, urllib.error.URLError) as error:
            assert time.monotonic() < deadline and server.poll() is None, error
            time.sleep(0.05)


def _judge(answers: List[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(isinstance(answer, dict) and "path" in answer for answer in answers), (answers, _log(tmp_path))
    assert len({answer["path"] for answer in answers}) == len(answers)
    assert max(answer["longest_s"] for answer in answers) < LONGEST_S, answers
    monkeypatch.setenv("FK_KAZOO_HOME", str(tmp_path / "home"))
    client = KazooClient("local://served")
    client.start()
    assert {"/served/" + name for name in client.get_children("/served")} == {answer["path"] for answer in answers}
    client.stop()
    client.close()


def _served(server: "subprocess.Popen[bytes]", port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers at once, many at a time; and it ends when it is told to."""
    answers = [_ask(port, server)]
    with ThreadPoolExecutor(4) as pool:
        answers += pool.map(lambda _: _ask(port, server), range(REQUESTS - 1))
    _judge(answers, tmp_path, monkeypatch)
    started = time.monotonic()
    server.send_signal(signal.SIGINT)
    server.wait(20)
    assert time.monotonic() - started < 15, _log(tmp_path)


@pytest.mark.parametrize("client", ["module", "worker"])
@pytest.mark.parametrize("preload", [False, True], ids=["", "preload"])
@pytest.mark.parametrize("worker", ["sync", "gthread", "gevent", "gevent-handler"])
def test_gunicorn(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worker: str, preload: bool, client: str
) -> None:
    port = _free_port()
    kind, _, handler = worker.partition("-")
    options = ["--preload"] if preload else []
    options += ["--threads", "3"] if kind == "gthread" else []
    server = start(
        *("gunicorn", MODULE, "--bind", "127.0.0.1:%d" % port, "--workers", "2", "--worker-class", kind, *options),
        *("--graceful-timeout", "5", "--worker-tmp-dir", str(tmp_path), "--no-control-socket"),
        SERVED_CLIENT=client,
        SERVED_HANDLER="gevent" if handler else "default",
    )
    _served(server, port, tmp_path, monkeypatch)


UWSGI = {
    "forks": ["--processes", "2"],
    "threads": ["--processes", "2", "--threads", "3"],
    "no-threads": ["--processes", "2", "--disable-threads"],
    "osafterfork": ["--processes", "2", "--py-call-osafterfork"],
    "lazy": ["--processes", "2", "--lazy-apps"],
    "gevent": ["--processes", "2", "--gevent", "10", "--gevent-monkey-patch"],
    "gevent-early": ["--processes", "2", "--gevent", "10", "--gevent-early-monkey-patch"],
}


@pytest.mark.parametrize("client", ["module", "worker"])
@pytest.mark.parametrize("how", UWSGI)
def test_uwsgi(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, client: str) -> None:
    """It forks without a word to Python, unless it is told otherwise; the app is loaded before, unless it is lazy."""
    port = _free_port()
    threads = [] if "--disable-threads" in UWSGI[how] else ["--enable-threads"]
    server = start(
        *("uwsgi", "--http-socket", "127.0.0.1:%d" % port, "--module", MODULE, "--master", "--need-app"),
        *("--die-on-term", "--worker-reload-mercy", "5", "--home", sys.prefix),
        *threads,
        *[option for option in UWSGI[how] if option != "--disable-threads"],
        SERVED_CLIENT=client,
    )
    _served(server, port, tmp_path, monkeypatch)


@pytest.mark.parametrize("client", ["module", "worker"])
@pytest.mark.parametrize("pool", ["prefork", "gevent", "eventlet", "threads", "solo"])
def test_celery(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: Dict[str, str], pool: str, client: str
) -> None:
    from celery import Celery  # type: ignore[import-untyped]

    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO")
    server = start(
        *("celery", "--app", "compat_tests.servers.tasks", "worker", "--pool", pool, "--concurrency", "3", *quiet),
        SERVED_CLIENT=client,
    )
    queue = environ["SERVED_QUEUE"]
    app = Celery("asking", broker="filesystem://", backend="file://%s-results" % queue)
    app.conf.broker_transport_options = {
        "data_folder_in": queue,
        "data_folder_out": queue,
        "control_folder": queue + "-control",
    }
    tasks = [app.send_task("work") for _ in range(REQUESTS)]
    try:
        answers = [task.get(timeout=40) for task in tasks]
    except Exception as error:
        raise AssertionError((error, _log(tmp_path))) from error
    _judge(answers, tmp_path, monkeypatch)
    server.send_signal(signal.SIGTERM)
    assert server.wait(25) == 0, _log(tmp_path)
