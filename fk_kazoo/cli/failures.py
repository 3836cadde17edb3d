"""Makes of an error one line, and the exit code that says which kind it was.

| code | what |
| --- | --- |
| 0 | done |
| 1 | it failed; also: a comparison found a difference, a check did not hold |
| 2 | wrong usage: an option, an argument or a URL |
| 3 | not found: a node, a deployment, a file |
| 4 | refused: permission, a version, a conflict, a node that is not empty |
| 130 | interrupted |
"""

from __future__ import annotations

from typing import Optional, Tuple

import click

from fk_kazoo.commands.operation import FAILED as FAILED
from fk_kazoo.commands.operation import INTERRUPTED as INTERRUPTED
from fk_kazoo.commands.operation import NOT_FOUND as NOT_FOUND
from fk_kazoo.commands.operation import REFUSED as REFUSED
from fk_kazoo.commands.operation import USAGE as USAGE
from fk_kazoo.commands.operation import code_of


class Failure(click.ClickException):
    """A failure that a command found itself; ``code`` as in the table above."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


def explained(error: BaseException) -> Optional[Tuple[str, int]]:
    """The line and the exit code of an error that a user can do something about; None for what is a defect of ours."""
    from fk_backend import errors

    if isinstance(error, click.ClickException):
        return error.format_message(), getattr(error, "code", error.exit_code)
    if isinstance(error, ModuleNotFoundError):
        return _missing(error)
    if isinstance(error, errors.BackendError):
        return str(error) or type(error).__name__, code_of(error)
    if isinstance(error, OSError):
        where = "%s: " % error.filename if error.filename else ""
        return where + (error.strerror or str(error)), code_of(error)
    return _kazoo(error)


_EXTRAS = {
    "asyncpg": "postgres",
    "boto3": "aws",
    "botocore": "aws",
    "aiobotocore": "aws",
    "rich": "cli",
    "starlette": "cli",
    "uvicorn": "cli",
    "prompt_toolkit": "cli",
}


def _missing(error: ModuleNotFoundError) -> Optional[Tuple[str, int]]:
    extra = _EXTRAS.get(error.name or "")
    return ("%s is missing: pip install 'fk_kazoo[%s]'" % (error.name, extra), FAILED) if extra else None


def _kazoo(error: BaseException) -> Optional[Tuple[str, int]]:
    from kazoo import exceptions
    from kazoo.handlers.threading import KazooTimeoutError

    from fk_backend.errors import BackendError
    from fk_kazoo.exceptions import DeploymentConfigurationError, PayloadTooLargeError

    if isinstance(error, DeploymentConfigurationError) and isinstance(error.__cause__, (BackendError, OSError)):
        return explained(error.__cause__)
    said = ": ".join(text for text in (str(one).strip("(), ") for one in error.args) if text)
    if isinstance(error, PayloadTooLargeError):
        return said, REFUSED
    for kind, text, code in (
        (exceptions.NoNodeError, "there is no such node", NOT_FOUND),
        (exceptions.NoAuthError, "not allowed: give --auth SCHEME:CREDENTIAL", REFUSED),
        (exceptions.AuthFailedError, "these credentials were refused", REFUSED),
        (exceptions.NotEmptyError, "it has children", REFUSED),
        (exceptions.BadVersionError, "it has another version: somebody changed it", REFUSED),
        (exceptions.NodeExistsError, "there is a node already", REFUSED),
        (exceptions.NoChildrenForEphemeralsError, "its parent is an ephemeral, which can't have children", REFUSED),
        (exceptions.InvalidACLError, "that ACL can't be", REFUSED),
        (exceptions.SessionExpiredError, "the session expired", FAILED),
        (exceptions.ConnectionLoss, "the connection was lost: whether it was done is not known", FAILED),
        (exceptions.ConnectionClosedError, "the connection was closed", FAILED),
        (exceptions.BadArgumentsError, "that can't be", USAGE),
    ):
        if isinstance(error, kind):
            return (text + (": " + said if said else "")), code
    if isinstance(error, (exceptions.ConfigurationError, exceptions.KazooException)):
        return said or type(error).__name__, FAILED
    if isinstance(error, KazooTimeoutError):
        return "no connection: " + (said or "nobody answered"), FAILED
    return None
