"""Observes a Project: its server, its namespace, the previews and imports that use it, and orphaned objects."""

from dataclasses import dataclass
from datetime import datetime

from pgimport.decide.observed_objects import HeldRole, ObservedProject
from pgimport.kubernetes_client.custom_resources import list_imports, list_previews, list_projects, read_project
from pgimport.kubernetes_client.jobs import list_orphans
from pgimport.kubernetes_client.namespaces import namespace_exists
from pgimport.kubernetes_client.network_policies import read_api_server
from pgimport.model.errors import Refused, ServerUnavailable
from pgimport.model.names import FINALIZER_PREVIEW
from pgimport.model.observations import ObservedServer, Unreachable
from pgimport.model.project_spec import ProjectSpec
from pgimport.model.resources import ImportObject, PreviewObject, ProjectObject, ResourceKey
from pgimport.reconcile.reconcile_context import ReconcileContext
from pgimport.reconcile.server_credentials import read_admin_access
from pgimport.server.marked_objects import MarkedObject, read_marked_objects
from pgimport.server.server_state import read_server_properties


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectObservation(ObservedProject):
    """Adds the orphaned objects themselves, which the actor drops. The decision needs only their names."""

    marked_objects: tuple[MarkedObject, ...] = ()


def observe_project(context: ReconcileContext, key: ResourceKey, _now: datetime) -> ProjectObservation | None:
    """Reads everything that the decision needs. Returns None if the Project does not exist."""
    project = read_project(context.cluster, key.name)
    if project is None:
        return None
    spec = project.spec
    if spec is None:
        return ProjectObservation(object=project)
    server = read_project_server(context, spec)
    # Marks are read before the lists. A mark is written after its owner was created, so the lists have the owner.
    marked_objects = _read_marked_objects(context, project, spec) if isinstance(server, ObservedServer) else None
    all_previews = list_previews(context.cluster, spec.namespace)
    previews = [item for item in all_previews if _uses_project(item, key)]
    imports = [item for item in list_imports(context.cluster, spec.namespace) if _uses_project(item, key)]
    # An import that was cleaned up owns nothing. An operator that was too slow may have created marked objects later.
    cleaned_up = {item.meta.uid for item in imports if item.status.cleaned_up}
    owners = ({item.meta.uid for item in previews} | {item.meta.uid for item in imports}) - cleaned_up
    marked = marked_objects or ()
    orphaned_objects = tuple(item for item in marked if item.mark.dropped or item.mark.owner_uid not in owners)
    exists = namespace_exists(context.cluster, spec.namespace)
    namespace_owner = _find_namespace_owner(context, project, spec)
    readable = exists and namespace_owner is None
    return ProjectObservation(
        object=project,
        server=server,
        namespace_exists=exists,
        namespace_owner=namespace_owner,
        orphaned_jobs=list_orphans(context.cluster, spec.namespace, cleaned_up) if readable else (),
        api_server=read_api_server(context.cluster) if context.policy.network_policy else (),
        previews=len(previews),
        imports=len(imports),
        finished_imports=tuple(item for item in imports if item.status.terminal) if spec.history is not None else (),
        clone_imports=frozenset(item.status.clone_import for item in all_previews if item.status.clone_import),
        created_previews=sum(FINALIZER_PREVIEW in item.meta.finalizers for item in previews),
        server_objects=None
        if marked_objects is None
        else sum(item.mark.project_uid == project.meta.uid for item in marked_objects),
        orphaned_objects=tuple(item.name for item in orphaned_objects),
        marked_objects=orphaned_objects,
        roles_with_another_limit=tuple(
            item.name
            for item in marked
            if _is_owner_role(item, project) and item.connection_limit != spec.limits.max_connections_per_preview
        ),
        held_roles=tuple(
            HeldRole(item.name, item.holders)
            for item in marked
            if item.mark.dropped and item.mark.project_uid == project.meta.uid
        ),
    )


def _is_owner_role(item: MarkedObject, project: ProjectObject) -> bool:
    """Tells whether this is the owner role of a preview of the Project. The role of an attempt has its own limit."""
    mark = item.mark
    own = mark.project_uid == project.meta.uid and mark.preview_uid is not None
    return item.kind == "role" and own and mark.import_uid is None and not mark.dropped


def read_project_server(context: ReconcileContext, spec: ProjectSpec) -> ObservedServer | Unreachable:
    """Connects to the Project's server as its admin. Returns a failure instead of raising it."""
    try:
        access = read_admin_access(context, spec)
        return read_server_properties(access, spec.allowed_extensions, spec.server.templates)
    except (Refused, ServerUnavailable) as error:
        return Unreachable(failure=error.failure)


def _uses_project(item: PreviewObject | ImportObject, key: ResourceKey) -> bool:
    return item.spec is not None and item.spec.project == key.name


def _read_marked_objects(
    context: ReconcileContext, project: ProjectObject, spec: ProjectSpec
) -> tuple[MarkedObject, ...] | None:
    """Reads the databases and roles whose mark names this Project. Returns None if the server does not answer."""
    try:
        return tuple(read_marked_objects(read_admin_access(context, spec), project.meta.uid))
    except (Refused, ServerUnavailable):
        return None


def _find_namespace_owner(context: ReconcileContext, project: ProjectObject, spec: ProjectSpec) -> str | None:
    """Returns the name of an older Project with the same namespace: the oldest one owns it."""
    age = project.meta.created_at, project.meta.uid
    older = [
        other
        for other in list_projects(context.cluster)
        if other.spec is not None
        and other.spec.namespace == spec.namespace
        and other.meta.uid != project.meta.uid
        and (other.meta.created_at, other.meta.uid) < age
        and not other.meta.deleting
    ]
    return min(older, key=lambda other: other.meta.created_at).meta.name if older else None
