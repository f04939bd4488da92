"""See a PreviewDatabase or a Project: everything fresh, a key in, a `Seen…` out."""

from datetime import datetime

from pgimport.decide.observed import ObservedPreview, ObservedProject
from pgimport.decide.previews import loses_database
from pgimport.kubernetes_client.custom_resources import (
    list_imports,
    list_previews,
    list_projects,
    read_import,
    read_preview,
    read_project,
)
from pgimport.kubernetes_client.jobs import list_orphans
from pgimport.kubernetes_client.namespaces import namespace_exists
from pgimport.kubernetes_client.secrets_and_config_maps import read_secret
from pgimport.model.errors import ServerUnavailable
from pgimport.model.observations import ObservedServer, Unreachable
from pgimport.model.resources import ImportObject, PreviewObject, ProjectObject, ResourceKey
from pgimport.model.spec import ProjectSpec
from pgimport.model.status import PreviewState
from pgimport.reconcile.context import ReconcileContext
from pgimport.reconcile.server_credentials import admin_access
from pgimport.server.marked_objects import MarkedObject, read_marked_objects
from pgimport.server.server_state import read_database_oid, read_server_facts


def observe_preview(context: ReconcileContext, key: ResourceKey, now: datetime) -> ObservedPreview | None:
    """Returns None when there is no such preview (any more).

    Raises ServerUnavailable where a reset or an expiry has to ask its server.
    """
    found = read_preview(context.cluster, key.namespace, key.name)
    if found is None:
        return None
    project = read_project(context.cluster, found.spec.project) if found.spec else None
    limited = project is not None and project.spec is not None and project.spec.limits.max_previews is not None
    holder_alive = _observe_holder(context, found)
    return ObservedPreview(
        object=found,
        project=project,
        count=place_of(list_previews(context.cluster, key.namespace), found) if limited else 0,
        # Not asked where it is going: with its namespace goes the right to read there.
        secret=not found.meta.deleting and _observe_secret(context, found),
        holder_alive=holder_alive,
        database_oid=None if holder_alive else _observe_database(context, found, project, now),
        clone=_observe_clone(context, found),
    )


def place_of(previews: list[PreviewObject], found: PreviewObject) -> int:
    """This one's place: after those that have their database, and after those made before it.

    Of two made at once, neither refuses the other; times are whole seconds, so one of them may have been served
    although the other's uid comes first.
    """
    alive = [one for one in previews if not one.meta.deleting and one.status.state is not PreviewState.EXPIRED]
    return 1 + sum(
        one.status.database is not None or (one.meta.created_at, one.meta.uid) < (found.meta.created_at, found.meta.uid)
        for one in alive
        if one.meta.uid != found.meta.uid
    )


def _observe_secret(context: ReconcileContext, found: PreviewObject) -> bool:
    name = found.status.connection_secret
    return name is not None and read_secret(context.cluster, found.meta.namespace, name) is not None


def _observe_database(
    context: ReconcileContext, found: PreviewObject, project: ProjectObject | None, now: datetime
) -> int | None:
    if not loses_database(found, now) or found.status.database is None:
        return None
    if project is None or project.spec is None or not project.status.ready:
        return None
    return read_database_oid(admin_access(context, project.spec), found.status.database)


def _observe_clone(context: ReconcileContext, found: PreviewObject) -> ImportObject | None:
    name = found.status.clone_import
    return read_import(context.cluster, found.meta.namespace, name) if name is not None else None


def _observe_holder(context: ReconcileContext, found: PreviewObject) -> bool:
    holder, name = found.status.active_import, found.status.active_import_name
    if holder is None or name is None:
        return False
    # By name: each preview that listed the imports would make a restart slow with many of both.
    one = read_import(context.cluster, found.meta.namespace, name)
    return one is not None and one.meta.uid == holder and not one.meta.deleting and not one.status.cleaned_up


def observe_project(
    context: ReconcileContext, key: ResourceKey
) -> tuple[ObservedProject, tuple[MarkedObject, ...]] | None:
    """With what is to be swept, whole; the decision reads only the names. None: there is no such project."""
    found = read_project(context.cluster, key.name)
    if found is None:
        return None
    spec = found.spec
    if spec is None:
        return ObservedProject(object=found), ()
    server = _observe_server(context, spec)
    # Marks before the objects they name: what is made between the two looks has an object by then.
    marks = _observe_marks(context, found, spec) if isinstance(server, ObservedServer) else ()
    previews = [one for one in list_previews(context.cluster, spec.namespace) if _is_of(one, key)]
    imports = [
        one for one in list_imports(context.cluster, spec.namespace) if one.spec and one.spec.project == key.name
    ]
    # An import that was cleaned up has nothing any more: whoever came late has made it since.
    alive = {one.meta.uid for one in previews} | {one.meta.uid for one in imports if not one.status.cleaned_up}
    # Nobody's: the import, or without one the preview, that they belong to is gone.
    marked = tuple(one for one in marks if one.mark.owner_uid not in alive)
    cleaned = {one.meta.uid for one in imports if one.status.cleaned_up}
    there, owner = namespace_exists(context.cluster, spec.namespace), _observe_namespace_owner(context, found, spec)
    observed = ObservedProject(
        object=found,
        server=server,
        namespace_exists=there,
        namespace_owner=owner,
        orphaned_jobs=list_orphans(context.cluster, spec.namespace, cleaned) if there and owner is None else (),
        previews=len(previews),
        imports=len(imports),
        orphaned_objects=tuple(one.name for one in marked),
    )
    return observed, marked


def _is_of(preview: PreviewObject, key: ResourceKey) -> bool:
    return preview.spec is not None and preview.spec.project == key.name


def _observe_server(context: ReconcileContext, spec: ProjectSpec) -> ObservedServer | Unreachable:
    try:
        return read_server_facts(admin_access(context, spec), spec.allowed_extensions)
    except ServerUnavailable as away:
        return Unreachable(failure=away.failure)


def _observe_marks(context: ReconcileContext, found: ProjectObject, spec: ProjectSpec) -> tuple[MarkedObject, ...]:
    """Everything on the server that is this Project's by its mark."""
    try:
        return tuple(read_marked_objects(admin_access(context, spec), found.meta.uid))
    except ServerUnavailable:
        return ()


def _observe_namespace_owner(context: ReconcileContext, found: ProjectObject, spec: ProjectSpec) -> str | None:
    """The oldest Project of a namespace has it."""
    rivals = [
        one
        for one in list_projects(context.cluster)
        if one.spec is not None and one.spec.namespace == spec.namespace and one.meta.uid != found.meta.uid
    ]
    older = [
        one
        for one in rivals
        if (one.meta.created_at, one.meta.uid) < (found.meta.created_at, found.meta.uid) and not one.meta.deleting
    ]
    return min(older, key=lambda one: one.meta.created_at).meta.name if older else None
