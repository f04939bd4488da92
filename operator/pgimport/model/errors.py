"""Defines our exceptions. An expected and final outcome is a `Failure` value instead.

PgimportError
├── NotFound                 the object does not exist
├── Conflict                 the object changed since it was read: observe it again
├── Forbidden                Kubernetes denied the request: a right is missing; the message names verb and object
├── Invalid                  Kubernetes did not accept the object; the message names the field
├── KubernetesNotConfigured  there is no service account and no usable kubeconfig
├── KubernetesUnavailable    Kubernetes did not answer, or asked to try later
├── StoreUnavailable         the upload store did not answer, or denied the request
├── ServerUnavailable        a target server did not answer, or refused the admin's statement
└── ShadowRefused            the target server cannot hold a copy of this source; the import ends
"""

from pgimport.model.reasons import Failure


class PgimportError(Exception):
    """Base class, never raised itself. The messages contain no secrets."""


class NotFound(PgimportError):
    """The object does not exist."""


class Conflict(PgimportError):
    """The object changed since it was read, or an object of this name belongs to somebody else."""


class Forbidden(PgimportError):
    """Kubernetes denied the request, because a right is missing."""


class Invalid(PgimportError):
    """Kubernetes did not accept the object, because a field is wrong."""


class KubernetesNotConfigured(PgimportError):
    """No service account or kubeconfig names a Kubernetes API server."""


class KubernetesUnavailable(PgimportError):
    """Kubernetes did not answer, or asked to try later."""


class StoreUnavailable(PgimportError):
    """The upload store did not answer, or denied the request."""


class ServerUnavailable(PgimportError):
    """A target server did not answer, or refused a statement. Carries the failure, which is permanent for a refusal."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class ShadowRefused(PgimportError):
    """The target server refuses something without which the copy is not possible. Carries the failure to show."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure
