"""An account and region of AWS as deployment sees it: clients that retry, and errors that say what to do.

Rule upheld here: what goes wrong is one line for whoever runs the command: what is missing, and how to get it.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Dict, Iterator, Optional

from ...errors import DeploymentError, NoPermission, NotFound, WrongUsage
from .failures import NO_URL

ATTEMPTS = 6
CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 5.0, 60.0


class Cloud:
    """``session``: a boto3 session, default: what the environment says; ``endpoint_url``: of an emulator."""

    def __init__(self, session: Any = None, region: Optional[str] = None, endpoint_url: Optional[str] = None) -> None:
        from boto3.session import Session

        if session is None and region is None:
            region = os.environ.get("AWS_REGION") or None  # boto3 knows AWS_DEFAULT_REGION alone
        with explained():
            self._session = session or Session(region_name=region)
        self._endpoint_url = endpoint_url
        self._clients: Dict[str, Any] = {}
        self.region = str(region or self._session.region_name or "")
        if not self.region:
            raise WrongUsage("which region? Give --region, or set AWS_REGION")

    def client(self, service: str) -> Any:
        """A boto3 client; one for each service."""
        from botocore.config import Config

        if service not in self._clients:
            config = Config(
                connect_timeout=CONNECT_TIMEOUT_S,
                read_timeout=READ_TIMEOUT_S,
                retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            )
            with explained():
                self._clients[service] = self._session.client(
                    service, region_name=self.region, endpoint_url=self._endpoint_url, config=config
                )
        return self._clients[service]

    @property
    def endpoint_url(self) -> Optional[str]:
        """Of the emulator, or None on AWS itself."""
        return self._endpoint_url or os.environ.get("AWS_ENDPOINT_URL") or None

    @cached_property
    def account(self) -> str:
        """The number of the account that the credentials are of."""
        with explained():
            return str(self.client("sts").get_caller_identity()["Account"])


def code_of(error: Exception) -> str:
    """What AWS calls the error, or ``""``."""
    response: Any = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


_ABSENT = {
    "404",
    "NoSuchBucket",
    "NoSuchEntity",
    "NoSuchKey",
    "NotFound",
    "ResourceNotFoundException",
    "AWS.SimpleQueueService.NonExistentQueue",
    "QueueDoesNotExist",
}


def absent(error: Exception) -> bool:
    """Whether it says that something is not there."""
    code = code_of(error)
    return code in _ABSENT or (code == "ValidationError" and "does not exist" in str(error))


_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403", "Forbidden", "AuthorizationError"}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_INVALID = {
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "AuthFailure",
    "IncompleteSignature",
}


@contextmanager
def explained() -> Iterator[None]:
    """Raises DeploymentError with one line that says what to do, for whatever botocore raises."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise _of_service(error) from error
    except BotoCoreError as error:
        raise _of_library(error) from error
    except ValueError as error:  # botocore's own for a URL that is none
        if not str(error).startswith(NO_URL):
            raise
        raise WrongUsage("%s: write http(s)://host[:port]; see --endpoint-url and AWS_ENDPOINT_URL" % error) from error


def _of_service(error: Any) -> DeploymentError:
    code, told = code_of(error), str(error.response.get("Error", {}).get("Message", "")).strip()
    if code in _DENIED:
        what = told or "%s is not allowed" % error.operation_name
        return NoPermission("%s. Deploying needs the permissions that docs/aws.md lists" % what.rstrip("."))
    if code in _EXPIRED:
        return NoPermission("the credentials have expired: log in again (aws sso login), or get new ones")
    if code in _INVALID:
        return NoPermission("AWS does not know these credentials: check AWS_PROFILE, AWS_ACCESS_KEY_ID and the clock")
    kind = NotFound if absent(error) else DeploymentError
    return kind("%s: %s (%s)" % (error.operation_name, told or "failed", code or "no code"))


def _of_library(error: Any) -> DeploymentError:
    from botocore import exceptions as raised

    if isinstance(error, (raised.NoCredentialsError, raised.PartialCredentialsError, raised.CredentialRetrievalError)):
        return NoPermission("no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    if isinstance(error, (raised.TokenRetrievalError, raised.SSOError)):
        return NoPermission("the login has expired: aws sso login")
    if isinstance(error, raised.ProfileNotFound):
        return WrongUsage("%s: check AWS_PROFILE" % error)
    if isinstance(error, (raised.NoRegionError, raised.InvalidRegionError)):
        return WrongUsage("which region? Give --region, or set AWS_REGION")
    if isinstance(error, (raised.HTTPClientError, raised.ConnectionError)):
        return DeploymentError("%s: check the network, --region and --endpoint-url" % str(error).rstrip("."))
    return DeploymentError(str(error))
