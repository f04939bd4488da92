"""Reads the credentials of a target server when they are needed, and keeps them nowhere."""

from pgimport.kubernetes_client.secrets_and_config_maps import read_secret
from pgimport.model.errors import ServerUnavailable
from pgimport.model.project_spec import ProjectSpec
from pgimport.model.reasons import Failure, Reason
from pgimport.model.resources import PreviewObject
from pgimport.reconcile.reconcile_context import ReconcileContext
from pgimport.server.server_access import Access


def read_admin_access(context: ReconcileContext, project: ProjectSpec) -> Access:
    """Reads the admin's user and password. Raises ServerUnavailable if the Secret or one of its keys is missing."""
    server, namespace = project.server, context.policy.operator_namespace
    reference = server.admin_secret_ref
    entries = read_secret(context.cluster, namespace, reference.name) or {}
    for key in (reference.user_key, reference.password_key):
        if key not in entries:
            message = f"Secret {reference.name} with the key {key} is missing in namespace {namespace}"
            raise ServerUnavailable(Failure(Reason.SERVER_AUTH_FAILED, message))
    if entries[reference.user_key] == entries[reference.password_key]:
        # A server that refuses a login prints the user's name. Here, that would be the password.
        message = (
            f"adminSecretRef: the keys {reference.user_key} and {reference.password_key}"
            f" of Secret {reference.name} have the same value"
        )
        raise ServerUnavailable(Failure(Reason.SERVER_AUTH_FAILED, message))
    return Access(
        host=server.host,
        port=server.port,
        user=entries[reference.user_key].decode().strip(),
        password=entries[reference.password_key].decode().strip(),
        sslmode=server.sslmode.value,
        circuit_breaker=context.circuit_breaker,
    )


def read_owner_access(context: ReconcileContext, project: ProjectSpec, preview: PreviewObject) -> Access | None:
    """Reads the login of the preview's owner role. Returns None if the connection Secret is missing."""
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
