"""Act on a preview's or a project's decision: every action may be repeated."""

import secrets
from contextlib import suppress
from urllib.parse import quote

from pgimport.decide.decision import (
    Action,
    CreateCloneImport,
    DeleteOrphanedJobs,
    DropOrphanedObjects,
    DropPreview,
    EnsurePreview,
    EnsureRoleBindings,
    SetFinalizer,
)
from pgimport.decide.observed import ObservedPreview, ObservedProject
from pgimport.decide.previews import database_of
from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import Json
from pgimport.kubernetes_client.custom_resources import holds, list_previews, write_finalizers
from pgimport.kubernetes_client.jobs import delete_job
from pgimport.kubernetes_client.namespaces import ensure_role, ensure_role_binding
from pgimport.kubernetes_client.secrets_and_config_maps import create_secret, delete_secret
from pgimport.manifest.clone_import import build_clone_import
from pgimport.manifest.rbac import build_connection_reader, build_role_binding
from pgimport.manifest.secrets import build_connection_secret
from pgimport.model.errors import Conflict, NotFound
from pgimport.model.names import (
    API_ROLE_BINDING,
    CONNECTION_READER,
    FINALIZER_PREVIEW,
    FINALIZER_PROJECT,
    IMPORTS,
    PREVIEWS,
    PROJECTS,
    TENANT_ROLE_BINDING,
    connection_secret_name,
    owner_role_name,
)
from pgimport.model.owner_comment import OwnerComment
from pgimport.model.resources import ObjectMeta, ResourceKey
from pgimport.model.spec import TargetServer
from pgimport.model.status import PreviewStatus
from pgimport.reconcile.context import ReconcileContext
from pgimport.reconcile.server_credentials import admin_access
from pgimport.server.marked_objects import MarkedObject, drop_marked_object
from pgimport.server.preview import drop_preview, ensure_preview, reset_preview

PASSWORD_BYTES = 24


def act_on_preview(context: ReconcileContext, observed: ObservedPreview, wanted: PreviewStatus, action: Action) -> None:
    """Raises Conflict, ServerUnavailable, KubernetesUnavailable: look again."""
    match action:
        case SetFinalizer(present):
            _set_finalizer(
                context,
                ResourceKey(PREVIEWS, observed.object.meta.namespace, observed.object.meta.name),
                observed.object.meta,
                FINALIZER_PREVIEW,
                present,
            )
        case EnsurePreview():
            _ensure(context, observed, wanted, action)
        case CreateCloneImport(name):
            _create_clone(context, observed, name)
        case DropPreview(oid):
            _drop(context, observed, oid)
        case _:
            raise TypeError(f"not an action on a preview: {action!r}")


def act_on_project(
    context: ReconcileContext, observed: ObservedProject, orphaned_objects: tuple[MarkedObject, ...], action: Action
) -> None:
    """Raises Conflict, ServerUnavailable, KubernetesUnavailable: look again."""
    spec, meta = observed.object.spec, observed.object.meta
    match action:
        case SetFinalizer(present):
            _set_finalizer(context, ResourceKey(PROJECTS, "", meta.name), meta, FINALIZER_PROJECT, present)
        case EnsureRoleBindings():
            if spec is not None:
                _ensure_rights(context, spec.namespace)
        case DropOrphanedObjects():
            if spec is not None:
                access = admin_access(context, spec)
                for one in orphaned_objects:
                    if _is_nobodys(context, spec.namespace, one.mark):
                        drop_marked_object(access, one)
        case DeleteOrphanedJobs(jobs):
            if spec is not None:
                for job in jobs:
                    delete_job(context.cluster, spec.namespace, job.name, job.uid)
                    delete_secret(context.cluster, spec.namespace, job.name)
        case _:
            raise TypeError(f"not an action on a project: {action!r}")


def _is_nobodys(context: ReconcileContext, namespace: str, mark: OwnerComment) -> bool:
    """Its owner is gone, or an import that was cleaned up. Lists may be old and not show an owner yet: this is sure."""
    if mark.owner_uid is None or mark.owner_name is None:
        return False
    key = ResourceKey(IMPORTS if mark.import_uid else PREVIEWS, namespace, mark.owner_name)
    cleaned = mark.import_uid is not None and holds(context.cluster, key, mark.owner_uid, ("/cleanedUp", True))
    return cleaned or not holds(context.cluster, key, mark.owner_uid)


def _ensure_rights(context: ReconcileContext, namespace: str) -> None:
    """The operator's first: it gives to the API what it has itself."""
    identity, home = context.identity, context.policy.operator_namespace
    if identity.service_account and identity.tenant_cluster_role:
        binding = build_role_binding(
            TENANT_ROLE_BINDING, namespace, identity.tenant_cluster_role, identity.service_account, home
        )
        ensure_role_binding(context.cluster, namespace, binding)
    if identity.api_service_account and identity.api_cluster_role:
        binding = build_role_binding(
            API_ROLE_BINDING, namespace, identity.api_cluster_role, identity.api_service_account, home
        )
        ensure_role_binding(context.cluster, namespace, binding)
        ensure_connection_reader(context, namespace)
        binding = build_role_binding(
            CONNECTION_READER, namespace, CONNECTION_READER, identity.api_service_account, home, "Role"
        )
        ensure_role_binding(context.cluster, namespace, binding)


def ensure_connection_reader(context: ReconcileContext, namespace: str, made: str | None = None) -> None:
    """The HTTP API may read the connection Secrets of the previews that there are, and one that was made now.

    Raises Conflict: look again.
    """
    if not context.identity.api_service_account:
        return

    def build() -> Json:
        names = {made, *(one.status.connection_secret for one in list_previews(context.cluster, namespace))}
        return build_connection_reader(namespace, [name for name in names if name])

    ensure_role(context.cluster, namespace, build)


def _set_finalizer(
    context: ReconcileContext, key: ResourceKey, meta: ObjectMeta, finalizer: str, present: bool
) -> None:
    others = [name for name in meta.finalizers if name != finalizer]
    try:
        write_finalizers(context.cluster, key, meta, [*others, finalizer] if present else others)
    except NotFound:
        return


def _ensure(context: ReconcileContext, observed: ObservedPreview, wanted: PreviewStatus, action: EnsurePreview) -> None:
    """The Secret first: it is the only place that knows the password."""
    project, meta = observed.project, observed.object.meta
    database, role = wanted.database, wanted.role
    if project is None or project.spec is None or database is None or role is None:
        raise Conflict(f"PreviewDatabase {meta.name}: its Project is gone")
    server, password = project.spec.server, secrets.token_urlsafe(PASSWORD_BYTES)
    entries = create_secret(
        context.cluster, meta.namespace, build_connection_secret(meta), _connection(server, database, role, password)
    )
    ensure_connection_reader(context, meta.namespace, connection_secret_name(meta.name))
    mark = OwnerComment(project_uid=project.meta.uid, preview_uid=meta.uid, owner_name=meta.name)
    access, known = admin_access(context, project.spec), entries["password"].decode()
    if action.anew:
        reset_preview(access, database, role, known, mark, only=action.oid)
    else:
        ensure_preview(access, database, role, known, mark)


def _create_clone(context: ReconcileContext, observed: ObservedPreview, name: str) -> None:
    """May be repeated: one of this name, which holds a hash of the preview's uid, is there already."""
    spec, meta = observed.project.spec if observed.project else None, observed.object.meta
    if spec is None or spec.primary is None or observed.object.spec is None:
        raise Conflict(f"PreviewDatabase {meta.name}: its Project is gone")
    body = build_clone_import(meta, name, observed.object.spec.project, spec.primary.url_secret_ref)
    with suppress(Conflict):
        context.cluster.create(api_paths.resource(IMPORTS, meta.namespace), body)


def _connection(server: TargetServer, database: str, role: str, password: str) -> dict[str, bytes]:
    """libpq's names; `uri` is what a client takes as it is."""
    where = f"[{server.host}]" if ":" in server.host else server.host
    login = f"{quote(role, safe='')}:{quote(password, safe='')}"
    uri = f"postgresql://{login}@{where}:{server.port}/{quote(database, safe='')}?sslmode={server.sslmode.value}"
    values = {
        "host": server.host,
        "port": str(server.port),
        "dbname": database,
        "user": role,
        "password": password,
        "uri": uri,
    }
    return {name: value.encode() for name, value in values.items()}


def _drop(context: ReconcileContext, observed: ObservedPreview, oid: int | None) -> None:
    status, project = observed.object.status, observed.project
    if project is None or project.spec is None:
        return
    # Made, perhaps, and not written down: the names are always the same.
    database = status.database or database_of(observed)
    drop_preview(admin_access(context, project.spec), database, status.role or owner_role_name(database), only=oid)
