"""Reads the credentials of a target server when they are needed, and keeps them nowhere."""

from collections.abc import Collection, Mapping

from pgimport.kubernetes_client.secrets_and_config_maps import read_owned_secret, read_secret
from pgimport.model.errors import ServerUnavailable
from pgimport.model.project_spec import ProjectSpec
from pgimport.model.reasons import Failure, Reason
from pgimport.model.resources import PreviewObject
from pgimport.reconcile.reconcile_context import ReconcileContext
from pgimport.server.server_access import Access

CONNECTION_KEYS = ("host", "port", "dbname", "user", "password", "uri")  # entries of a connection Secret


def read_admin_access(context: ReconcileContext, project: ProjectSpec) -> Access:
    """Reads the admin's user and password. Raises ServerUnavailable if the Secret lacks one, or it is not a text."""
    server, namespace = project.server, context.policy.operator_namespace
    reference = server.admin_secret_ref
    entries = read_secret(context.cluster, namespace, reference.name)
    if entries is None:
        raise _unusable(f"Secret {reference.name} in namespace {namespace}: the Secret does not exist")
    problems = [_find_problem(entries, key) for key in (reference.user_key, reference.password_key)]
    for problem in filter(None, problems):
        raise _unusable(f"Secret {reference.name} in namespace {namespace}: {problem}")
    if entries[reference.user_key] == entries[reference.password_key]:
        # A server that refuses a login prints the user's name. Here, that would be the password.
        raise _unusable(
            f"adminSecretRef: the keys {reference.user_key} and {reference.password_key}"
            f" of Secret {reference.name} have the same value"
        )
    return Access(
        host=server.host,
        port=server.port,
        user=entries[reference.user_key].decode().strip(),
        password=entries[reference.password_key].decode().strip(),
        sslmode=server.sslmode.value,
        circuit_breaker=context.circuit_breaker,
    )


def _unusable(message: str) -> ServerUnavailable:
    return ServerUnavailable(Failure(Reason.SERVER_AUTH_FAILED, message))


def count_keys(keys: Collection[str]) -> str:
    """Returns the number of keys in words."""
    return {0: "no keys", 1: "1 key"}.get(len(keys), f"{len(keys)} keys")


def _find_problem(entries: Mapping[str, bytes], key: str) -> str | None:
    """Returns why an entry is not usable as a text of libpq. The message does not contain the entry."""
    if key not in entries:
        return f"the Secret has {count_keys(entries)}, but not the key {key}"
    try:
        text = entries[key].decode().strip()
    except UnicodeDecodeError:
        return f"the value of the key {key} is not UTF-8"
    if not text:
        return f"the value of the key {key} is empty"
    return f"the value of the key {key} contains a NUL character" if "\0" in text else None


def is_complete(entries: Mapping[str, bytes]) -> bool:
    """Tells whether a connection Secret has all its entries, as texts."""
    return not any(_find_problem(entries, key) for key in CONNECTION_KEYS)


def read_owner_access(context: ReconcileContext, project: ProjectSpec, preview: PreviewObject) -> Access:
    """Reads the password of the preview's owner role. Raises ServerUnavailable (TargetNotReady) if there is none."""
    name, meta = preview.connection_secret, preview.meta
    entries = read_owned_secret(context.cluster, meta.namespace, name, meta.uid)
    if entries is None or (problem := _find_problem(entries, "password")) is not None:
        cause = "it is missing, or does not belong to the preview" if entries is None else problem
        message = f"the connection Secret {name} of PreviewDatabase {meta.name} cannot be used: {cause}"
        raise ServerUnavailable(
            Failure(Reason.TARGET_NOT_READY, message, "Delete the Secret. The operator creates a new one.")
        )
    return Access(
        host=project.server.host,
        port=project.server.port,
        user=preview.role,
        password=entries["password"].decode(),
        sslmode=project.server.sslmode.value,
        circuit_breaker=context.circuit_breaker,
    )
