"""Our few exceptions; everything expected and final is a `Failure` value instead.

PgimportError
├── Absent          the object is not there (any more)
├── Conflict        it changed since it was read: see again
├── Denied          Kubernetes refused: a right is missing; the message names verb and object
├── Refused         Kubernetes does not accept the object; the message names the field
├── ClusterAway     Kubernetes did not answer, or asked to come later
├── StoreAway       the upload store did not answer, or refused us
└── ServerAway      a target server did not answer, or refused the admin
"""

from pgimport.model.reasons import Failure


class PgimportError(Exception):
    """Root of the tree; never raised itself. No message of any of them holds a secret."""


class Absent(PgimportError):
    """The object is not there."""


class Conflict(PgimportError):
    """The object changed since it was read, or one of this name is somebody else's."""


class Denied(PgimportError):
    """A right is missing."""


class Refused(PgimportError):
    """A field of what was sent is wrong."""


class ClusterAway(PgimportError):
    """Kubernetes did not answer."""


class StoreAway(PgimportError):
    """The upload store did not answer."""


class ServerAway(PgimportError):
    """A target server could not be asked; carries what to tell a person."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure
