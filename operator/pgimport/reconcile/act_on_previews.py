"""Carries out the actions that are decided for a PreviewDatabase. Every action can be repeated."""

import secrets
import time
from contextlib import suppress
from functools import partial
from urllib.parse import quote

from pgimport.decide.decision import (
    Action,
    BeginCopy,
    ClaimServer,
    CreateCloneImport,
    DropPreview,
    EnsurePreview,
    SetFinalizer,
)
from pgimport.decide.observed_objects import ObservedPreview
from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.custom_resources import confirm_unchanged, write_status
from pgimport.kubernetes_client.secrets_and_config_maps import create_secret, replace_entries
from pgimport.manifest.clone_import import build_clone_import
from pgimport.manifest.secrets import build_connection_secret
from pgimport.model.errors import Conflict, ServerUnavailable
from pgimport.model.names import FINALIZER_PREVIEW, IMPORTS, PREVIEWS, PROJECTS, connection_secret_name
from pgimport.model.owner_comment import OwnerComment
from pgimport.model.preview_spec import PreviewMode
from pgimport.model.project_spec import TargetServer
from pgimport.model.reasons import Failure, Reason
from pgimport.model.resources import PreviewObject, ProjectObject, ResourceKey
from pgimport.reconcile.background_drops import PATIENCE
from pgimport.reconcile.finalizers import write_finalizer
from pgimport.reconcile.reconcile_context import ReconcileContext
from pgimport.reconcile.server_credentials import is_complete, read_admin_access
from pgimport.reconcile.tenant_access import ensure_connection_reader
from pgimport.reconcile.webhook_deliveries import announce_deletion
from pgimport.server.preview import PreviewPlan, drop_preview, ensure_preview, reset_preview
from pgimport.server.preview_copy import CopyPlan, end_copy, ensure_copy
from pgimport.server.server_access import Access

PASSWORD_BYTES = 24


def act_on_preview(context: ReconcileContext, observed: ObservedPreview, action: Action) -> None:
    """Carries out one action.

    Raises Refused, Conflict or Unavailable; the preview is then reconciled again.
    """
    meta = observed.object.meta
    match action:
        case SetFinalizer(present):
            if not present:
                announce_deletion(context, observed.object)
            write_finalizer(context, ResourceKey(PREVIEWS, meta.namespace, meta.name), meta, FINALIZER_PREVIEW, present)
        case ClaimServer():
            _claim_server(context, observed)
        case EnsurePreview():
            _ensure_preview(context, observed, action)
        case BeginCopy():
            _begin_copy(context, observed, action)
        case CreateCloneImport(name):
            _create_clone_import(context, observed, name)
        case DropPreview(oid):
            _drop_preview(context, observed, oid)
        case _:
            raise TypeError(f"not an action on a preview: {action!r}")


def _claim_server(context: ReconcileContext, observed: ObservedPreview) -> None:
    """Raises Conflict if the Project has changed since it was observed: its server may be another one by now."""
    project = observed.project
    if project is None:
        raise Conflict(f"PreviewDatabase {observed.object.meta.name}: its Project is gone")
    key = ResourceKey(PROJECTS, "", project.meta.name)
    if project.status.in_use and project.status.unused_since is None:
        confirm_unchanged(context.cluster, key, project.meta)
    else:
        claimed = project.status.model_copy(update={"in_use": True, "unused_since": None})
        context.lists.remember(PROJECTS, write_status(context.cluster, key, project.meta, claimed))


def _ensure_preview(context: ReconcileContext, observed: ObservedPreview, action: EnsurePreview) -> None:
    """Creates the connection Secret, the role and the database, in this order: only the Secret knows the password.

    A golden preview has no password and no Secret.
    """
    project, meta, spec = observed.project, observed.object.meta, observed.object.spec
    if project is None or project.spec is None or spec is None:
        raise Conflict(f"PreviewDatabase {meta.name}: its Project is gone")
    database, role = observed.object.database, observed.object.role
    password = None if spec.golden else _ensure_connection_secret(context, observed.object, project)
    mark = OwnerComment(project_uid=project.meta.uid, preview_uid=meta.uid, owner_name=meta.name)
    access = read_admin_access(context, project.spec)
    templates, limit = project.spec.server.templates, project.spec.limits.max_connections_per_preview
    if context.copies.look(access.address, database) is not None:  # the Project's primary is no preview any more
        _end_copy(context, access, database)
    if action.recreate:
        reset = partial(reset_preview, access, database, role, password, mark, connection_limit=limit)
        context.drops.run(
            access.address,
            f"the old database {database}",
            lambda: reset(templates=templates, expected_oid=action.oid),
            request=spec.reset_at,
        )
    else:
        ensure_preview(access, database, role, password, mark, templates=templates, connection_limit=limit)


def _begin_copy(context: ReconcileContext, observed: ObservedPreview, action: BeginCopy) -> None:
    """Creates the connection Secret, and begins the copy in the background."""
    project, source, preview = observed.project, observed.source, observed.object
    if project is None or project.spec is None or source is None:
        raise Conflict(f"PreviewDatabase {preview.meta.name}: its Project or the preview to copy is gone")
    password = _ensure_connection_secret(context, preview, project)
    mark = OwnerComment(project_uid=project.meta.uid, preview_uid=preview.meta.uid, owner_name=preview.meta.name)
    limits, access = project.spec.limits, read_admin_access(context, project.spec)
    plan = CopyPlan(
        source=source.database,
        source_role=source.role,
        preview=PreviewPlan(
            preview.database, preview.role, password, mark, connection_limit=limits.max_connections_per_preview
        ),
        number=action.number,
        disconnect=action.disconnect,
        needs_data=source.golden,
        size_limit=project.spec.storage_limit_bytes,
    )
    copy = context.metrics.transitions.time_copy(lambda: ensure_copy(access, plan), time.monotonic)
    context.copies.begin(access.address, project.meta.uid, preview.database, action.number, copy, plan.source)


def _end_copy(context: ReconcileContext, access: Access, database: str) -> None:
    """Ends a copy that waits or runs, also one of an earlier operator process.

    Raises ServerUnavailable (TargetBusy) if it does not end within seconds.
    """
    running = context.copies.cancel(access.address, database)
    end_copy(access, database)
    if running is not None and not running.wait(PATIENCE):
        message = f"the copy into database {database} is being ended on {access.address}"
        raise ServerUnavailable(Failure(Reason.TARGET_BUSY, message))
    context.copies.cancel(access.address, database)


def _ensure_connection_secret(context: ReconcileContext, preview: PreviewObject, project: ProjectObject) -> str:
    """Creates the connection Secret, or completes it, and lets the HTTP API read it. Returns the password in it."""
    if project.spec is None:
        raise Conflict(f"PreviewDatabase {preview.meta.name}: its Project is gone")
    namespace, name = preview.meta.namespace, connection_secret_name(preview.meta.name)
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    new_entries = _build_connection_entries(project.spec.server, preview.database, preview.role, password)
    entries = create_secret(context.cluster, namespace, build_connection_secret(preview.meta), new_entries)
    if not is_complete(entries):
        replace_entries(context.cluster, namespace, name, new_entries)
        entries = new_entries
    ensure_connection_reader(context, namespace, project.meta, name)
    return entries["password"].decode()


def _build_connection_entries(server: TargetServer, database: str, role: str, password: str) -> dict[str, bytes]:
    """Builds the entries of the connection Secret: libpq's keywords, and `uri`, a complete connection URI."""
    host = f"[{server.host}]" if ":" in server.host else server.host
    login = f"{quote(role, safe='')}:{quote(password, safe='')}"
    uri = f"postgresql://{login}@{host}:{server.port}/{quote(database, safe='')}?sslmode={server.sslmode.value}"
    values = {
        "host": server.host,
        "port": str(server.port),
        "dbname": database,
        "user": role,
        "password": password,
        "uri": uri,
    }
    return {name: value.encode() for name, value in values.items()}


def _create_clone_import(context: ReconcileContext, observed: ObservedPreview, name: str) -> None:
    """Creates the import of a clone. An import of this name is ours: the name holds a hash of the preview's uid."""
    spec, meta = observed.project.spec if observed.project else None, observed.object.meta
    if spec is None or spec.primary is None or spec.primary.url_secret_ref is None or observed.object.spec is None:
        raise Conflict(f"PreviewDatabase {meta.name}: its Project is gone, or names another primary database")
    body = build_clone_import(meta, name, observed.object.spec.project, spec.primary.url_secret_ref)
    with suppress(Conflict):
        context.cluster.create(api_paths.resource(IMPORTS, meta.namespace), body)


def _drop_preview(context: ReconcileContext, observed: ObservedPreview, oid: int | None) -> None:
    """Drops the role and the database, even if the status does not name them: they may exist all the same."""
    project = observed.project
    if project is None or project.spec is None:
        return
    preview, access = observed.object, read_admin_access(context, project.spec)
    if preview.spec is not None and preview.spec.mode is PreviewMode.CLONE:
        _end_copy(context, access, preview.database)
    drop = partial(drop_preview, access, preview.database, preview.role, expected_oid=oid)
    context.drops.run(access.address, f"database {preview.database}", drop, request=oid)
