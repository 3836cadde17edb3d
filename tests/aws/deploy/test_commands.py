"""The commands as somebody types them: what they print, and their exit codes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Dict, List

import pytest

from fk_backend.providers.aws import names
from fk_kazoo.__main__ import main
from fk_kazoo.commands import aws_console

from .conftest import NAME, Place

DISABLED = ("--parameter", "Mappings=Disabled")


def _deploy(place: Place, *more: str) -> int:
    return main(["deploy", NAME, "--package", str(place.package), *DISABLED, *more])


def test_a_deployment_comes_and_goes(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert _deploy(place, "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "StateTable" in shown and "a dry run: nothing was changed" in shown
    assert _deploy(place, "--yes") == 0
    shown = capsys.readouterr().out
    assert "AWS::Lambda::EventSourceMapping" in shown and "ready: %s\n" % place.account.url in shown
    assert _deploy(place, "--yes") == 0
    again = capsys.readouterr().out
    assert again == "no changes: %s\n" % place.account.url + shown.partition("ready: %s\n" % place.account.url)[2]
    arns = re.findall(r"attach-role-policy --role-name ROLE --policy-arn (\S+)\n", again)
    assert arns == [one["Arn"] for one in place.client("iam").list_policies(Scope="Local")["Policies"]]
    assert again.endswith("\n  export FK_KAZOO_URL='%s'\n" % place.account.url)
    assert main(["destroy", NAME, "--yes"]) == 0
    assert capsys.readouterr().out.endswith("removed: test\n")
    assert main(["status", NAME]) == 3
    assert "fk-kazoo deploy test makes one" in capsys.readouterr().err


def test_status(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.deploy(parameters={"Mappings": "Enabled"})
    assert main(["status", NAME]) == 0
    shown = capsys.readouterr().out
    for part in ("fk-test-writer", "fk-test-dead.fifo", "fk-test-state", "fk-test-writes-age", "CREATE_COMPLETE"):
        assert part in shown
    assert shown.endswith("url %s\n" % place.account.url)
    assert "!!" not in shown


def test_status_of_what_needs_attention(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.deploy()
    queue = place.account.queue_url(names.dead_queue(NAME))
    place.client("sqs").send_message(
        QueueUrl=queue, MessageBody="x", MessageGroupId="default", MessageDeduplicationId="1"
    )
    place.client("cloudwatch").set_alarm_state(
        AlarmName="fk-test-writer-errors", StateValue="ALARM", StateReason="a test"
    )
    place.client("lambda").delete_function(FunctionName=names.function(NAME, names.SWEEPER))
    assert main(["status", NAME]) == 1
    bad = [line for line in capsys.readouterr().out.splitlines() if "!!" in line]
    assert any("fk-test-dead.fifo" in line and "1 waiting" in line for line in bad)
    assert any("fk-test-writer-errors" in line and "ALARM" in line for line in bad)
    assert any("functions" in line and "unknown" in line for line in bad)


def _answering(monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
    """Somebody at a terminal types these."""
    left = list(answers)
    monkeypatch.setattr(aws_console, "can_ask", lambda: True)
    monkeypatch.setattr(sys, "stdin", type("Typed", (), {"readline": staticmethod(lambda: left.pop(0) + "\n")}))


def test_what_is_asked(place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _answering(monkeypatch, "", "y", "TEST", "test")
    assert _deploy(place) == 1
    assert "nothing was changed" in capsys.readouterr().err
    assert (place.names(), place.stack_status()) == ([], "")
    assert _deploy(place) == 0
    assert main(["destroy", NAME]) == 1
    assert place.stack_status() == "CREATE_COMPLETE"
    assert main(["destroy", NAME]) == 0
    assert place.stack_status() == ""


def test_where_nobody_can_be_asked(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert _deploy(place) == 2
    assert main(["destroy", NAME]) == 2
    assert capsys.readouterr().err.count("give --yes") == 2
    assert place.names() == []


NOWHERE = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}


@pytest.mark.parametrize(
    ("arguments", "environ", "unset", "says", "code"),
    [
        (["status", NAME], {}, ["AWS_REGION", "AWS_DEFAULT_REGION"], "give --region, or set aws_region", 2),
        (["status", NAME], {}, ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"], "no aws credentials: set aws_prof", 4),
        (["status", NAME], {"AWS_PROFILE": "nobody"}, [], "check aws_profile", 2),
        (["status", NAME], NOWHERE, [], "check the network, --region and --endpoint-url", 1),
        (["status", NAME, "--endpoint-url", "127.0.0.1:9"], {}, [], "write http(s)://host[:port]", 2),
        (["destroy", NAME, "--yes"], {}, [], "there is no deployment test", 3),
        (["rollback", NAME, "--yes"], {}, [], "function not found", 3),
        (["deploy", NAME, "--yes", "--package", "/nowhere.zip"], {}, [], "there is no file /nowhere.zip", 3),
        (["deploy", NAME, "--yes", "--package", __file__], {}, [], "is no zip file", 2),
        (["deploy", NAME, "--yes", "--parameter", "Memry=1"], {}, [], "the names are memory", 2),
        (["deploy", NAME, "--yes", "--parameter", "Memory"], {}, [], "--parameter is name=value", 2),
    ],
)
def test_what_goes_wrong_is_one_line_that_says_what_to_do(
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: List[str],
    environ: Dict[str, str],
    unset: List[str],
    says: str,
    code: int,
) -> None:
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setattr("fk_backend.providers.aws.cloud.ATTEMPTS", 1)
    for name in unset:
        monkeypatch.delenv(name)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert main(arguments) == code
    told = capsys.readouterr()
    assert told.err.count("\n") == 1 and says in told.err.lower()
    assert told.err.startswith("fk-kazoo %s: " % arguments[0])


@pytest.mark.parametrize("arguments", [["status", "a_b"], ["deploy", "a_b", "--yes"]])
def test_a_name_that_can_be_none_is_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: List[str]
) -> None:
    monkeypatch.setattr("fk_backend.providers.aws.package.build", lambda *_: pytest.fail("it was packed before"))
    assert main(arguments) == 2
    assert "1 to 20 lower-case letters" in capsys.readouterr().err


def test_the_region_of_the_command_line_counts(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert _deploy(place, "--yes", "--region", "eu-central-1") == 0
    assert "region=eu-central-1" in capsys.readouterr().out
    assert place.stack_status() == ""


def _without(module: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command line where a module is not installed."""
    program = "import sys; sys.modules[%r] = None; from fk_kazoo.__main__ import main; sys.exit(main(%r))"
    return subprocess.run(
        [sys.executable, "-c", program % (module, list(arguments))],
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("module", ["boto3", "rich", "aiobotocore"])
@pytest.mark.parametrize("command", ["deploy", "status", "destroy", "package"])
def test_without_the_extra(module: str, command: str) -> None:
    arguments = {"package": ["package"], "deploy": ["deploy", NAME, "--dry-run"], "destroy": ["destroy", NAME, "--yes"]}
    done = _without(module, *arguments.get(command, [command, NAME]))
    assert done.returncode == 1
    assert "pip install 'fk_kazoo[aws]'" in done.stderr and done.stderr.count("\n") == 1


def test_the_command_line_itself_imports_no_cloud_library() -> None:
    program = "import sys, fk_kazoo.__main__; print(*(set(sys.modules) & {'boto3', 'botocore', 'rich', 'aiobotocore'}))"
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.strip() == ""


def test_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from fk_backend.providers.aws import package

    made = package.Built(tmp_path / "x.zip", "ab" * 32, 4_000_000, 15_500_000, True)
    asked = []

    def build(*arguments: object) -> package.Built:
        asked.append(arguments)
        return made

    monkeypatch.setattr(package, "build", build)
    assert main(["package", "-o", str(made.path), "--platform", "host"]) == 0
    assert asked == [(made.path, "host")]
    assert capsys.readouterr().out == "%s  %s\n4.0 MB, 15.5 MB unpacked\n" % ("ab" * 32, made.path)
