"""Credentials of a target server, read by name at the moment they are needed and kept nowhere."""

from pgimport.kubernetes_client.secrets_and_config_maps import read_secret
from pgimport.model.errors import ServerUnavailable
from pgimport.model.reasons import Failure, Reason
from pgimport.model.resources import PreviewObject
from pgimport.model.spec import ProjectSpec
from pgimport.reconcile.context import ReconcileContext
from pgimport.server.connection import Access


def admin_access(context: ReconcileContext, project: ProjectSpec) -> Access:
    """Raises ServerUnavailable where the Secret or one of its keys is missing."""
    server, namespace = project.server, context.policy.operator_namespace
    wanted = server.admin_secret_ref
    entries = read_secret(context.cluster, namespace, wanted.name) or {}
    for key in (wanted.user_key, wanted.password_key):
        if key not in entries:
            missing = f"Secret {wanted.name} with the key {key} is missing in namespace {namespace}"
            raise ServerUnavailable(Failure(Reason.SERVER_AUTH_FAILED, missing))
    if entries[wanted.user_key] == entries[wanted.password_key]:
        # A user's name is shown wherever a server refuses it.
        same = f"adminSecretRef: {wanted.user_key} and {wanted.password_key} of Secret {wanted.name} hold the same"
        raise ServerUnavailable(Failure(Reason.SERVER_AUTH_FAILED, same))
    return Access(
        host=server.host,
        port=server.port,
        user=entries[wanted.user_key].decode().strip(),
        password=entries[wanted.password_key].decode().strip(),
        sslmode=server.sslmode.value,
        circuit_breaker=context.circuit_breaker,
    )


def owner_access(context: ReconcileContext, project: ProjectSpec, preview: PreviewObject) -> Access | None:
    """The preview's own role; None where its connection Secret is not there."""
    name = preview.status.connection_secret
    entries = read_secret(context.cluster, preview.meta.namespace, name) if name else None
    if entries is None or "password" not in entries:
        return None
    return Access(
        host=project.server.host,
        port=project.server.port,
        user=entries["user"].decode(),
        password=entries["password"].decode(),
        sslmode=project.server.sslmode.value,
        circuit_breaker=context.circuit_breaker,
    )
