from typing import ClassVar

class KazooException(Exception):
    """What everything that kazoo raises by itself inherits from."""

class ZookeeperError(KazooException):
    """What ZooKeeper answers a request with, and what ends it without an answer."""

    code: ClassVar[int]

class CancelledError(KazooException):
    """Somebody cancelled what was being waited for."""

class ConfigurationError(KazooException):
    """The client can't be made or used as it was asked for."""

class ZookeeperStoppedError(KazooException):
    """The client was stopped."""

class ConnectionDropped(KazooException):
    """The connection was lost; internal."""

class LockTimeout(KazooException):
    """A lock or a lease was not to be had in time."""

class WriterNotClosedException(KazooException):
    """The connection does not end in time."""

class SASLException(KazooException):
    """SASL authentication failed."""

EXCEPTIONS: dict[int, type[ZookeeperError]]
"""The exception of each of ZooKeeper's error codes."""

class RolledBackError(ZookeeperError):
    """In a transaction's results: would have succeeded, had another operation not failed."""

class SystemZookeeperError(ZookeeperError):
    """The service failed."""

class RuntimeInconsistency(ZookeeperError):
    """In a transaction's results: not tried, because an operation before it failed."""

class DataInconsistency(ZookeeperError):
    """The service's data are damaged."""

class ConnectionLoss(ZookeeperError):
    """The connection was lost before the answer: whether the request was done is unknown."""

class MarshallingError(ZookeeperError):
    """A request or an answer can't be read."""

class UnimplementedError(ZookeeperError):
    """The service can't do that."""

class OperationTimeoutError(ZookeeperError):
    """The service took too long."""

class BadArgumentsError(ZookeeperError):
    """A path, a value or a flag is not allowed."""

class UnknownSessionError(ZookeeperError):
    """There is no such session."""

class NewConfigNoQuorumError(ZookeeperError):
    """A reconfiguration would leave no quorum."""

class ReconfigInProcessError(ZookeeperError):
    """Another reconfiguration is going on."""

class APIError(ZookeeperError):
    """The request is wrong."""

class NoNodeError(ZookeeperError):
    """There is no such node."""

class NoAuthError(ZookeeperError):
    """The node's ACL does not allow it."""

class BadVersionError(ZookeeperError):
    """The node's version is another one."""

class NoChildrenForEphemeralsError(ZookeeperError):
    """Ephemeral nodes have no children."""

class NodeExistsError(ZookeeperError):
    """There is such a node already."""

class NotEmptyError(ZookeeperError):
    """The node has children."""

class SessionExpiredError(ZookeeperError):
    """The session is over, and its ephemeral nodes are removed."""

class InvalidCallbackError(ZookeeperError):
    """The callback can't be used."""

class InvalidACLError(ZookeeperError):
    """The ACL is not a good one."""

class AuthFailedError(ZookeeperError):
    """The credentials are refused."""

class SessionMovedError(ZookeeperError):
    """The session belongs to another connection."""

class NotReadOnlyCallError(ZookeeperError):
    """A write, on a connection that only reads."""

class EphemeralOnLocalSessionError(ZookeeperError):
    """A local session has no ephemeral nodes."""

class NoWatcherError(ZookeeperError):
    """There is no such watch."""

class RequestTimeoutError(ZookeeperError):
    """The service gave the request up."""

class ReconfigDisabledError(ZookeeperError):
    """Reconfiguration is turned off."""

class SessionClosedRequireSaslError(ZookeeperError):
    """The service demands SASL."""

class QuotaExceededError(ZookeeperError):
    """The quota is used up."""

class ThrottledOpError(ZookeeperError):
    """The service has too much to do."""

class ConnectionClosedError(SessionExpiredError):
    """The client is closed, or was not started."""

ConnectionLossException = ConnectionLoss
MarshallingErrorException = MarshallingError
SystemErrorException = SystemZookeeperError
RuntimeInconsistencyException = RuntimeInconsistency
DataInconsistencyException = DataInconsistency
UnimplementedException = UnimplementedError
OperationTimeoutException = OperationTimeoutError
BadArgumentsException = BadArgumentsError
ApiErrorException = APIError
NoNodeException = NoNodeError
NoAuthException = NoAuthError
BadVersionException = BadVersionError
NoChildrenForEphemeralsException = NoChildrenForEphemeralsError
NodeExistsException = NodeExistsError
InvalidACLException = InvalidACLError
AuthFailedException = AuthFailedError
NotEmptyException = NotEmptyError
SessionExpiredException = SessionExpiredError
InvalidCallbackException = InvalidCallbackError
