"""``shell``: the commands, one after the other, with connections that go on between them."""

from __future__ import annotations

import os
import shlex
import sys
from typing import Any, Iterator, List, Optional

import click

from fk_kazoo.url import DEFAULT_URL, ENVIRONMENT_VARIABLE

from .target import Clients, joined, leave

NOT_HERE = ("shell", "run", "dev", "completion")
HELP = "A command without fk-kazoo before it. use URL: another place; cd PATH, pwd; help [COMMAND]; exit, or Ctrl-D."


class State:
    """Where the shell is: a place, and a node in it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.path = "/"
        self.clients: Clients = {}

    def close(self) -> None:
        """Ends the connections."""
        for client in self.clients.values():
            leave(client)


@click.command("shell")
@click.option("--url", "-u", envvar=ENVIRONMENT_VARIABLE, metavar="URL", help="To begin with; `use URL` takes another.")
def shell_command(url: Optional[str]) -> int:
    """Type commands, with completion of commands, options and paths, and history. Several places: use URL.

    \b
    fk-kazoo shell --url zk://zk1:2181
    echo 'ls /' | fk-kazoo shell
    """
    state = State(url or DEFAULT_URL)
    code = 0
    try:
        for line in _lines(state):
            done = perform(state, line)
            if done is None:
                break
            code = done
    finally:
        state.close()
    return 0 if sys.stdin.isatty() else code


def perform(state: State, line: str) -> Optional[int]:
    """The exit code of one line; None if it was the last one."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError as error:
        click.echo("%s" % error, err=True)
        return 2
    if not words:
        return 0
    name = words[0]
    if name in ("exit", "quit"):
        return None
    if name == "help":
        if len(words) == 1:
            click.echo(HELP + "\n")
        return _command(state, [*words[1:2], "--help"])
    if name == "pwd":
        click.echo("%s %s" % (state.url, state.path))
        return 0
    if name in ("use", "cd") and len(words) == 2:
        return _use(state, words[1]) if name == "use" else _cd(state, words[1])
    if name in NOT_HERE:
        click.echo("%s is not for the shell" % name, err=True)
        return 2
    return _command(state, words)


def _use(state: State, url: str) -> int:
    done = _command(state, ["stat", "/", "--url", url], quiet=True)
    if done == 0:
        state.url, state.path = url, "/"
    return done


def _cd(state: State, path: str) -> int:
    wanted = joined(state.path, path)
    done = _command(state, ["stat", wanted], quiet=True)
    if done == 0:
        state.path = wanted
    return done


def _command(state: State, words: List[str], quiet: bool = False) -> int:
    from . import main as group
    from .target import NodePath

    os.environ[ENVIRONMENT_VARIABLE] = state.url
    before, NodePath.here = NodePath.here, state.path
    try:
        if quiet:
            import contextlib
            import io

            with contextlib.redirect_stdout(io.StringIO()):
                return group.main(words, state.clients)
        return group.main(words, state.clients)
    finally:
        NodePath.here = before


def _lines(state: State) -> Iterator[str]:
    if not sys.stdin.isatty():
        yield from iter(sys.stdin.readline, "")  # of the file itself, which would be closed with this generator
        return
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import FileHistory

    history = os.path.join(os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state"), "fk-kazoo")
    os.makedirs(history, 0o700, exist_ok=True)
    session: Any = PromptSession(
        history=FileHistory(os.path.join(history, "history")),
        completer=_completer(state),
        complete_while_typing=False,  # each look asks the deployment, which may be far, and paid for
    )
    while True:
        try:
            yield session.prompt("%s %s> " % (state.url, state.path))
        except KeyboardInterrupt:
            continue
        except EOFError:
            return


def _completer(state: State) -> Any:
    from click.shell_completion import ShellComplete
    from prompt_toolkit.completion import Completer, Completion

    from .main import commands
    from .target import NodePath

    class Words(Completer):
        def get_completions(self, document: Any, complete_event: Any) -> Iterator[Any]:
            text = document.text_before_cursor
            words = text.split()
            typed = "" if not text or text[-1].isspace() else words.pop()
            os.environ[ENVIRONMENT_VARIABLE] = state.url
            before, NodePath.here = NodePath.here, state.path
            try:
                asked = ShellComplete(commands, {"obj": state.clients}, "fk-kazoo", "_")
                for item in asked.get_completions(words, typed):
                    yield Completion(item.value, -len(typed))
            finally:
                NodePath.here = before

    return Words()
