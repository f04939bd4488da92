"""Defines our exceptions. An expected and final outcome is a `Failure` value instead.

Three of them tell the operator what to do, and no other meaning is given to them:

- Conflict: the object was changed by somebody else. Read it again now. A retry heals it.
- Unavailable: something does not answer, or is busy. Try again later.
- Refused: a retry would be refused in the same way. It ends an import, and stalls any other object.

PgimportError
├── Conflict                   the object changed since it was read, or the name was taken at the same moment
├── Unavailable                something does not answer, or asks to try later
│   ├── KubernetesUnavailable  Kubernetes
│   ├── StoreUnavailable       the upload store, also if it denied the request
│   └── ServerUnavailable      a target server, with the failure to show
├── Refused                    a target server or Kubernetes refuses for good, with the failure to show
├── NotFound                   the object does not exist
├── Forbidden                  Kubernetes denied the request: a right is missing; the message names verb and object
├── Invalid                    Kubernetes did not accept the object; the message names the field
└── KubernetesNotConfigured    there is no service account and no usable kubeconfig
"""

from pgimport.model.reasons import Failure


class PgimportError(Exception):
    """Base class, never raised itself. The messages contain no secrets."""


class Conflict(PgimportError):
    """The object changed since it was read, or another writer took its name.

    Not used for a state that a retry does not change; use Refused.
    """


class Unavailable(PgimportError):
    """Something does not answer, is busy, or asks to try later. Base class, never raised itself."""


class KubernetesUnavailable(Unavailable):
    """Kubernetes did not answer, or asked to try later."""


class StoreUnavailable(Unavailable):
    """The upload store did not answer, or denied the request."""


class ServerUnavailable(Unavailable):
    """A target server did not answer, is busy, or lacks something that its admin can add. Carries the failure."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Refused(PgimportError):
    """A target server or Kubernetes refuses in a way that a retry does not heal. Carries the failure to show."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class NotFound(PgimportError):
    """The object does not exist."""


class Forbidden(PgimportError):
    """Kubernetes denied the request: a right is missing, a quota is used up, or a policy of the cluster forbids it."""


class Invalid(PgimportError):
    """Kubernetes did not accept the object, because a field is wrong."""


class KubernetesNotConfigured(PgimportError):
    """No service account or kubeconfig names a Kubernetes API server."""
