"""Our few exceptions; everything expected and final is a `Failure` value instead.

PgimportError
├── Absent          the object is not there (any more)
├── Conflict        it changed since it was read: see again
├── Denied          Kubernetes refused: a right is missing; the message names verb and object
├── Refused         Kubernetes does not accept the object; the message names the field
├── KubernetesNotConfigured  no service account or usable kubeconfig was found
├── KubernetesUnavailable     Kubernetes did not answer, or asked to come later
├── StoreUnavailable       the upload store did not answer, or refused us
└── ServerUnavailable      a target server did not answer, or refused the admin
"""

from pgimport.model.reasons import Failure


class PgimportError(Exception):
    """Root of the tree; never raised itself. No message of any of them holds a secret."""


class NotFound(PgimportError):
    """The object is not there."""


class Conflict(PgimportError):
    """The object changed since it was read, or one of this name is somebody else's."""


class Forbidden(PgimportError):
    """A right is missing."""


class Invalid(PgimportError):
    """A field of what was sent is wrong."""


class KubernetesNotConfigured(PgimportError):
    """No service account or kubeconfig names a Kubernetes API server."""


class KubernetesUnavailable(PgimportError):
    """Kubernetes did not answer."""


class StoreUnavailable(PgimportError):
    """The upload store did not answer."""


class ServerUnavailable(PgimportError):
    """A target server could not be asked; carries what to tell a person."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure
