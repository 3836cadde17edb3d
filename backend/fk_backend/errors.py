"""One tree of errors below kazoo's. What matters to a caller: did it happen?

BackendError
├── Refused            definite: it did not happen, and asking again will not help by itself
│   ├── Conflict       a condition did not hold
│   ├── WentBack       the deployment may have lost what this session was answered
│   ├── StorageFull    no room, or the medium is read-only
│   └── TooLarge       over a documented limit
├── Unavailable        definite: it did not happen; asking again later may help
│   └── NotAllowed     as long as nobody allows it
├── Unknown            it happened, or it did not
└── DeploymentError    the deployment itself can't be used; the message says what to do
    ├── WrongUsage     what was asked for can't be understood
    │   └── BadUrl
    ├── NotFound       there is nothing of the name that was given
    ├── NotADeployment corrupt, foreign
    │   └── NoDeployment   nothing there: NotFound, too
    ├── Protected      Refused, too: it would have removed or replaced what is there
    ├── UnknownFormat
    └── NoPermission
"""

from __future__ import annotations


class BackendError(Exception):
    """Root of everything that fk_backend raises on purpose."""


class Refused(BackendError):
    """Definite: it did not happen."""


class Conflict(Refused):
    """A condition of a commit did not hold: somebody else was first."""


class Taken(Conflict):
    """Something is there already that was to be put where nothing is. Whether anybody else was first is not said."""


class WentBack(Refused):
    """The deployment was replaced by one that may not have what this session was answered: it can't go on with it."""


class StorageFull(Refused):
    """The store has no room for it, or may not be written to."""


class TooLarge(Refused):
    """Over a documented limit."""


class Unavailable(BackendError):
    """Definite: the other side was not reached, so nothing happened."""


class NotAllowed(Unavailable):
    """Definite: these credentials may not do that, or are not good now."""


class Unknown(BackendError):
    """No answer: it may have happened or not."""


class DeploymentError(BackendError):
    """The deployment can't be used as it is. The message says what to do about it."""


class WrongUsage(DeploymentError):
    """What was asked for can't be understood, or something that is needed was not said."""


class BadUrl(WrongUsage, ValueError):
    """The deployment URL is not one."""


class NotFound(DeploymentError):
    """There is nothing of the name that was given."""


class NotADeployment(DeploymentError):
    """What lies there is not a deployment of ours, or is damaged."""


class NoDeployment(NotADeployment, NotFound):
    """There is no deployment there."""


class Protected(DeploymentError, Refused):
    """It would have removed or replaced what is there, so it was not done."""


class UnknownFormat(DeploymentError):
    """Written by a version of this package whose formats this one does not read."""


class NoPermission(DeploymentError):
    """The operating system does not let us."""
