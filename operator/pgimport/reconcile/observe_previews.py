"""Observes a PreviewDatabase: reads it and everything that the decision about it needs."""

from collections.abc import Sequence
from datetime import datetime

from pgimport.decide.observed_objects import ObservedPreview
from pgimport.decide.preview_copies import find_copy_source
from pgimport.decide.previews import is_expired, loses_database
from pgimport.kubernetes_client.custom_resources import read_import, read_preview, read_project
from pgimport.kubernetes_client.secrets_and_config_maps import read_owned_secret
from pgimport.model.names import clone_name
from pgimport.model.observations import ObservedContent
from pgimport.model.preview_spec import CopySource
from pgimport.model.resources import ImportObject, PreviewObject, ProjectObject, ResourceKey
from pgimport.model.status import PreviewState
from pgimport.reconcile.reconcile_context import ReconcileContext
from pgimport.reconcile.server_credentials import is_complete, read_admin_access
from pgimport.server.server_state import read_content, read_database_oid


def observe_preview(context: ReconcileContext, key: ResourceKey, now: datetime) -> ObservedPreview | None:
    """Reads everything that the decision needs. Returns None if the preview does not exist.

    Raises ServerUnavailable if the server must be asked and does not answer.
    """
    preview = read_preview(context.cluster, key.namespace, key.name)
    if preview is None:
        return None
    project = read_project(context.cluster, preview.spec.project) if preview.spec else None
    has_limit = project is not None and project.spec is not None and project.spec.limits.max_previews is not None
    limited = has_limit and preview.status.database is None
    active_import_exists = _active_import_exists(context, preview)
    copied = _find_source_of_copy(preview, project, now)
    source = read_preview(context.cluster, key.namespace, copied.preview_database) if copied else None
    copying = context.copies.look(_address(project), preview.database) if copied else None
    return ObservedPreview(
        object=preview,
        project=project,
        position=find_position(context.direct_lists.list_previews(key.namespace), preview, now) if limited else 0,
        # When the namespace is deleted, the operator loses the right to read Secrets in it.
        secret_exists=not preview.meta.deleting and has_complete_secret(context, preview),
        active_import_exists=active_import_exists,
        database_oid=None if active_import_exists else _read_database(context, key, preview, project, now),
        clone=_read_clone_import(context, preview),
        content=_read_content(context, preview, project) if preview.golden or (copied and not copying) else None,
        source=source,
        source_is_swapped=_is_swapped(context, source),
        copying=copying,
    )


def find_position(previews: Sequence[PreviewObject], preview: PreviewObject, now: datetime) -> int:
    """Returns the preview's position, from 1, among those that count towards limits.maxPreviews.

    Previews with a database come first, then older ones. Creation times have a resolution of one second,
    so creation order alone could put a preview without a database before one that has it.
    """
    counted = [item for item in previews if not item.meta.deleting and not is_expired(item, now)]
    rank = _rank(preview)
    return 1 + sum(_rank(item) < rank for item in counted if item.meta.uid != preview.meta.uid)


def _rank(preview: PreviewObject) -> tuple[bool, datetime, str]:
    return preview.status.database is None, preview.meta.created_at, preview.meta.uid


def has_complete_secret(context: ReconcileContext, preview: PreviewObject) -> bool:
    """Tells whether the preview's own Secret exists and has all entries."""
    if preview.status.connection_secret is None:
        return False
    name, meta = preview.connection_secret, preview.meta
    entries = read_owned_secret(context.cluster, meta.namespace, name, meta.uid)
    return entries is not None and is_complete(entries)


def _read_database(
    context: ReconcileContext, key: ResourceKey, preview: PreviewObject, project: ProjectObject | None, now: datetime
) -> int | None:
    """Reads the OID of a database that is about to be dropped, or that a check of the Project has not found.

    The OID of a database to drop is needed so that a newer one is never taken for it.
    """
    suspect = context.preview_checks.take_suspect(key)
    if not (suspect or loses_database(preview, now)) or preview.status.database is None:
        return None
    if project is None or project.spec is None or not project.status.ready:
        return None
    return read_database_oid(read_admin_access(context, project.spec), preview.database)


def _find_source_of_copy(preview: PreviewObject, project: ProjectObject | None, now: datetime) -> CopySource | None:
    """Returns what is to be copied, if the preview is a copy that is not complete or must be made again."""
    spec = preview.spec
    if spec is None or preview.meta.deleting or project is None or not project.status.ready:
        return None
    complete = preview.status.state is PreviewState.READY and not spec.reset_due(preview.status.reset_at, now)
    return None if complete else find_copy_source(spec, project.spec)


def _address(project: ProjectObject | None) -> str:
    return project.spec.server.address if project is not None and project.spec is not None else ""


def _is_swapped(context: ReconcileContext, source: PreviewObject | None) -> bool:
    """Tells whether the import that has claimed the source is about to replace it."""
    if source is None or source.status.active_import_name is None:
        return False
    item = read_import(context.cluster, source.meta.namespace, source.status.active_import_name)
    if item is None or item.status.terminal or item.status.shadow is None:
        return False
    return item.meta.uid == source.status.active_import and item.status.shadow.verified


def _read_content(
    context: ReconcileContext, preview: PreviewObject, project: ProjectObject | None
) -> ObservedContent | None:
    """Reads what a golden preview or a copy contains. Imports into other previews write it to the status."""
    if preview.meta.deleting or preview.status.database is None:
        return None
    if project is None or project.spec is None or not project.status.ready:
        return None
    return read_content(read_admin_access(context, project.spec), preview.database, preview.role)


def _read_clone_import(context: ReconcileContext, preview: PreviewObject) -> ImportObject | None:
    meta, status = preview.meta, preview.status
    if status.clone_import is None:
        return None
    name = clone_name(meta.name, meta.uid, status.clones or 1)
    return read_import(context.cluster, meta.namespace, name)


def _active_import_exists(context: ReconcileContext, preview: PreviewObject) -> bool:
    """Reads the active import by its name: a list for each preview would make a restart slow."""
    uid, name = preview.status.active_import, preview.status.active_import_name
    if uid is None or name is None:
        return False
    item = read_import(context.cluster, preview.meta.namespace, name)
    return item is not None and item.meta.uid == uid and not item.meta.deleting and not item.status.cleaned_up
