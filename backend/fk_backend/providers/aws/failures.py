"""What AWS says went wrong, in this package's own words: above all whether it may have happened all the same.

Sources: "Error handling with DynamoDB" and "Transaction management" (Developer Guide), "Common errors" (SQS API).
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Awaitable, List, Sequence, Tuple, Type

from aiohttp import ClientConnectionError, ClientConnectorError
from botocore import exceptions as sdk

from ...errors import (
    BackendError,
    Conflict,
    DeploymentError,
    NoDeployment,
    NoPermission,
    NotAllowed,
    TooLarge,
    Unavailable,
    Unknown,
)

_FULL_SPEED = {
    "ProvisionedThroughputExceededException", "ThrottlingException", "Throttling", "RequestLimitExceeded", "SlowDown",
    "RequestThrottled", "TooManyRequestsException", "LimitExceededException", "ThrottlingError",
    "ProvisionedThroughputExceeded", "OverLimit",
}  # fmt: skip
_NOT_ALLOWED = {
    "AccessDenied", "AccessDeniedException", "UnrecognizedClientException", "InvalidClientTokenId", "ExpiredToken",
    "ExpiredTokenException", "SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature",
    "MissingAuthenticationToken", "NotAuthorized", "AuthFailure", "RequestExpired", "InvalidAccessKeyId",
    "RequestTimeTooSkewed", "InvalidToken",
}  # fmt: skip
_REFUSED = {"AccessDenied", "AccessDeniedException", "InvalidParameterValue", "InvalidObjectState"}
_GONE = {
    "ResourceNotFoundException", "NoSuchBucket", "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist",
}  # fmt: skip
_NOT_SENT = (
    sdk.EndpointConnectionError, sdk.ConnectTimeoutError, sdk.ProxyConnectionError, sdk.NoCredentialsError,
    sdk.PartialCredentialsError, sdk.CredentialRetrievalError, sdk.NoRegionError, sdk.TokenRetrievalError, sdk.SSLError,
)  # fmt: skip


def code_of(error: BaseException) -> str:
    """AWS's name for it, or ""."""
    if not isinstance(error, sdk.ClientError):
        return ""
    return str(error.response.get("Error", {}).get("Code", ""))


def refused_by_owner(error: BaseException) -> bool:
    """Whether it is what a client has made that refuses: by its policy, by a key that encrypts it, by its limits.

    Not where our own credentials are no good, or not for now.
    """
    if not isinstance(error, sdk.ClientError):
        return False
    code, status = code_of(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    if code in _REFUSED or code.upper().startswith("KMS"):
        return "Throttl" not in code
    return 400 <= status < 500 and code not in _FULL_SPEED | _NOT_ALLOWED | _GONE


def cut_off(error: BaseException) -> bool:
    """Whether a connection ended before the answer came: it was there, and whoever had it has closed it.

    aiobotocore tells so in two ways: the second is also how it tells that there was none.
    """
    if isinstance(error, sdk.EndpointConnectionError):
        cause = error.kwargs.get("error")
        return isinstance(cause, ClientConnectionError) and not isinstance(cause, ClientConnectorError)
    return isinstance(error, sdk.ConnectionClosedError)


def translated(error: Exception, writing: bool) -> BackendError:
    """The error for what a request failed with, after the library's retries. ``writing``: it may have had effect."""
    if isinstance(error, BackendError):
        return error
    if isinstance(error, sdk.ClientError):
        return _of_answer(error, writing)
    if isinstance(error, _NOT_SENT) and not cut_off(error):
        return Unavailable(str(error))
    if isinstance(error, (sdk.HTTPClientError, sdk.BotoCoreError, asyncio.TimeoutError, OSError)):
        return Unknown(str(error)) if writing else Unavailable(str(error))
    # Whatever else: where a body is cut short, the HTTP library's own error comes through.
    return Unknown(repr(error)) if writing else Unavailable(repr(error))


async def read(request: Awaitable[Any]) -> Any:
    """The answer of a request that changes nothing. BackendError."""
    return await _answer(request, writing=False)


async def wrote(request: Awaitable[Any]) -> Any:
    """The answer of a request that changes something. BackendError."""
    return await _answer(request, writing=True)


async def _answer(request: Awaitable[Any], writing: bool) -> Any:
    try:
        return await request
    except Exception as error:  # whatever the library raises has a word of ours
        raise translated(error, writing) from error


def _of_answer(error: sdk.ClientError, writing: bool) -> BackendError:
    code = code_of(error)
    text = "%s: %s" % (code, error.response.get("Error", {}).get("Message", ""))
    if code == "ConditionalCheckFailedException":
        return Conflict(text)
    if code == "TransactionCanceledException":
        return _of_transaction(
            [str(reason.get("Code")) for reason in error.response.get("CancellationReasons", [])], text
        )
    if code in _FULL_SPEED or code == "TransactionConflictException":
        return Unavailable(text)
    if code in _NOT_ALLOWED:
        return NotAllowed(text)  # a session is SUSPENDED as long as that takes
    if code in _GONE:
        return Unavailable(text)
    if code in ("ValidationException", "InvalidParameterValue", "ItemCollectionSizeLimitExceededException"):
        return TooLarge(text)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    if status >= 500 or code == "TransactionInProgressException":
        return Unknown(text) if writing else Unavailable(text)
    return TooLarge(text) if status == 413 else Unavailable(text)


def _of_transaction(reasons: List[str], text: str) -> BackendError:
    """Nothing of it happened. A condition decides, whatever else was in the way."""
    if "ConditionalCheckFailed" in reasons:
        return Conflict(text)
    return (
        TooLarge(text)
        if "ValidationError" in reasons or "ItemCollectionSizeLimitExceeded" in reasons
        else Unavailable(text)
    )


NO_URL = "Invalid endpoint"
"""What botocore's ValueError for an endpoint that is no URL begins with."""
_DENIED = {"AccessDenied", "AccessDeniedException", "NotAuthorized"}
_SAID_TO_DO: Sequence[Tuple[Tuple[Type[Exception], ...], str]] = (
    ((sdk.NoRegionError, sdk.InvalidRegionError), "which region? Add ?region=NAME to the URL, or set AWS_REGION"),
    (
        (sdk.NoCredentialsError, sdk.PartialCredentialsError),
        "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    ),
    ((sdk.TokenRetrievalError, sdk.SSOError), "log in again: aws sso login"),
    ((sdk.ProfileNotFound, sdk.ConfigParseError), "check AWS_PROFILE"),
)


def at_connect(error: Exception, deployment: str) -> BackendError:
    """The same when a deployment is opened: what will not go away by itself says what to do.

    Nobody listening at an endpoint may go away by itself: whatever it is may be starting.
    """
    code = code_of(error)
    if code in _GONE:
        return NoDeployment(
            "there is no such deployment in this account and region; fk-kazoo deploy %s makes one" % deployment
        )
    if code in _DENIED:
        return NoPermission("%s. Clients need the managed policy of the deployment" % error)
    if code in _NOT_ALLOWED:
        return NoPermission("%s. Check AWS_PROFILE, AWS_ACCESS_KEY_ID and the clock, or log in again" % error)
    for kinds, what in _SAID_TO_DO:
        if isinstance(error, kinds):
            return NoPermission("%s: %s" % (str(error).rstrip("."), what))
    if _of_somebody_else(error) or (isinstance(error, ValueError) and str(error).startswith(NO_URL)):
        what = "check the region, and endpoint_url or AWS_ENDPOINT_URL"
        return DeploymentError("%s: %s" % (str(error).rstrip("."), what))
    return translated(error, writing=False)


def _of_somebody_else(error: Exception) -> bool:
    """Whether there is no such host, or what answers there is not AWS: then botocore has a number for a code."""
    if isinstance(error, sdk.EndpointConnectionError):
        cause = getattr(error.kwargs.get("error"), "os_error", None)
        return isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME
    code = code_of(error)
    return code.isdigit() and int(code) < 500 and code not in ("408", "429")
