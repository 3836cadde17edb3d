"""A session with zk-shell in two terminals: what is typed, and what has to appear unasked.

Rule upheld here: nothing in it is ours alone. Every command prints the same on a ZooKeeper, volatile values apart.
"""

from __future__ import annotations

from typing import Dict, Iterator, List, NamedTuple, Tuple

from .terminal import Terminal


class Step(NamedTuple):
    """A command typed in a terminal, and the text that then appears in the other one."""

    terminal: int
    command: str
    elsewhere: str = ""


class Section(NamedTuple):
    """Some steps with a title."""

    title: str
    steps: List[Step]


SERVER = "{server}"
DIRECTORY = "{directory}"
SESSION_TIMEOUT_S = 2
LAST_WORD = "WatchedEvent(type='DELETED', state='CONNECTED', path='/app/members/m-0000000000')"


def _in(terminal: int, *commands: str) -> List[Step]:
    return [Step(terminal, command) for command in commands]


SECTIONS = [
    Section(
        "Nodes",
        _in(
            1,
            "ls /",
            "create /app 'first value'",
            "create /app 'again'",
            "create /app/deep/er/path 'x'",
            "create /app/deep/er/path 'x' false false true",
            "create /app/members ''",
            "create /app/members/m- 'me' true true",
            "create /app/queue- '1' false true",
            "create /app/members/m-0000000000/child ''",
            "ls /app",
            "tree /app",
            "get /app",
            "set /app 'second value'",
            "set /app 'third value' 0",
            "get /app",
            "exists /app/members/m-0000000000",
            "stat /app",
            "rm /app/deep",
            "rm /app/deep/er/path",
            "rmr /app/deep",
            "exists /app/deep",
        ),
    ),
    Section(
        "Another process sees them, and is told of changes",
        [
            *_in(2, "ls /app", "get /app true", "watch start /app true", "ls /app/members"),
            Step(1, "set /app 'third value'", "type='CHANGED', state='CONNECTED', path='/app')"),
            Step(1, "create /app/new ''", "type='CHILD', state='CONNECTED', path='/app')"),
            Step(1, "rm /app/new", "type='CHILD', state='CONNECTED', path='/app')"),
            *_in(2, "watch stats /app", "watch stop /app", "watch stats /app"),
        ],
    ),
    Section(
        "Looking around",
        _in(
            1,
            "create /app/json '{\"port\": 80}'",
            "json_set /app/json port 8080 int",
            "json_get /app/json port",
            "find /app QUEUE",
            "ifind /app QUEUE",
            "grep / value",
            "grep / 80 true",
            "summary /app",
            "child_count /app",
            "du /app",
            "diff /app/json /app/members",
            "cd /app",
            "pwd",
            "ls . false ,",
            "cd",
            "loop 3 0 'get /app'",
            "pipe 'find /app queue' 'get'",
            "session_info state",
        ),
    ),
    Section(
        "Transactions",
        _in(
            1,
            "txn 'create /txn \"a\"' 'check /txn 0' 'set /txn \"b\"'",
            "get /txn",
            "txn 'set /txn \"c\"' 'check /txn 7'",
            "get /txn",
        ),
    ),
    Section(
        "Permissions",
        [
            *_in(1, "create /secret 'classified'", "get_acls /secret"),
            *_in(1, "set_acls /secret 'username_password:ann:s3cr3t:cdrwa'"),
            *_in(2, "get /secret", "add_auth digest ann:s3cr3t", "get /secret", "get_acls /secret"),
            *_in(1, "get /secret", "set /secret 'x'"),
        ],
    ),
    Section(
        "Copies",
        _in(
            1,
            "cp file://{directory}/notes.txt /notes",
            "get /notes",
            "cp /notes /copy",
            "cp /notes /copy",
            "cp /app json://backup.json/app true true",
            "cp json://backup.json/app /restored true",
            "diff /app /restored",
            "cp zk://{server}/notes zk://{server}/elsewhere",
            "get /elsewhere",
        ),
    ),
    Section(
        "The end of a session ends its ephemeral nodes",
        [
            *_in(2, "exists /app/members/m-0000000000 true"),
            Step(1, "quit", LAST_WORD),
            *_in(2, "ls /app/members", "quit"),
        ],
    ),
]


def play(section: Section, terminals: Dict[int, Terminal], names: Dict[str, str]) -> Iterator[Tuple[Step, str]]:
    """Types the steps of a section; each step with what was printed for it."""
    for step in section.steps:
        terminal = terminals[step.terminal]
        command = step.command
        for name, value in names.items():
            command = command.replace(name, value)
        if command == "quit":
            assert terminal.leave() == 0
            yield step, ""
        else:
            yield step, terminal.run(command)
        if step.elsewhere:
            terminals[3 - step.terminal].see(step.elsewhere)
            terminals[3 - step.terminal].see("\r\n")
