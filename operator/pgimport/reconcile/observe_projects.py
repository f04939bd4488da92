"""Observes a Project: its server, its namespace, the previews and imports that use it, and orphaned objects."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pgimport.decide.observed_objects import HeldRole, ObservedProject
from pgimport.kubernetes_client.custom_resources import read_project
from pgimport.kubernetes_client.jobs import list_orphans
from pgimport.kubernetes_client.namespaces import namespace_exists
from pgimport.kubernetes_client.network_policies import read_api_server
from pgimport.kubernetes_client.resource_lists import ResourceLists
from pgimport.model.errors import Forbidden, Refused, ServerUnavailable
from pgimport.model.names import FINALIZER_PREVIEW
from pgimport.model.observations import ApiServerEndpoint, ObservedServer, Unreachable
from pgimport.model.project_spec import ProjectSpec
from pgimport.model.resources import ImportOwner, PreviewObject, ProjectObject, ResourceKey
from pgimport.model.status import PreviewState
from pgimport.reconcile.observe_previews import has_complete_secret
from pgimport.reconcile.reconcile_context import ReconcileContext
from pgimport.reconcile.server_credentials import read_admin_access
from pgimport.server.marked_objects import MarkedObject, read_marked_objects
from pgimport.server.server_state import read_server_properties


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectObservation(ObservedProject):
    """Adds the orphaned objects themselves, which the actor drops. The decision needs only their names."""

    marked_objects: tuple[MarkedObject, ...] = ()


def observe_project(context: ReconcileContext, key: ResourceKey, now: datetime) -> ProjectObservation | None:
    """Reads everything that the decision needs. Returns None if the Project does not exist."""
    project = read_project(context.cluster, key.name)
    if project is None:
        return None
    spec = project.spec
    if spec is None:
        return ProjectObservation(object=project)
    server = read_project_server(context, spec)
    # A mark is written after its owner was created. If a list lacks the owner, the action finds it at the API server.
    marked_objects = _read_marked_objects(context, project, spec) if isinstance(server, ObservedServer) else None
    previews, imports = _list_users(context, key, spec.namespace)
    # An import that was cleaned up owns nothing. An operator that was too slow may have created marked objects later.
    cleaned_up = {item.uid for item in imports if item.cleaned_up}
    owners = ({item.meta.uid for item in previews} | {item.uid for item in imports}) - cleaned_up
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
        api_server=_read_api_server(context),
        previews=len(previews),
        imports=len(imports),
        import_owners=tuple(imports),
        last_copy=context.copies.read_measured(spec.server.address, project.meta.uid),
        clone_imports=_list_clone_imports(context, spec.namespace),
        previews_without_database=_find_previews_without_database(previews, marked_objects),
        previews_without_secret=_find_previews_without_secret(context, project, previews, now) if readable else (),
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
        webhook_results=context.deliveries.find_results(project.meta.name),
        held_roles=tuple(
            HeldRole(item.name, item.holders)
            for item in marked
            if item.mark.dropped and item.mark.project_uid == project.meta.uid
        ),
    )


def _find_previews_without_database(
    previews: Sequence[PreviewObject], marked_objects: Sequence[MarkedObject] | None
) -> tuple[str, ...]:
    """Returns ready previews whose database is not among the marked ones. Each must then read it by itself."""
    if marked_objects is None:
        return ()
    databases = {item.name for item in marked_objects if item.kind == "database"}
    return tuple(item.meta.name for item in previews if _is_idle(item) and item.database not in databases)


def _find_previews_without_secret(
    context: ReconcileContext, project: ProjectObject, previews: Sequence[PreviewObject], now: datetime
) -> tuple[str, ...]:
    """Reads some of the connection Secrets. Returns the ready previews whose Secret is missing or incomplete."""
    idle = [item for item in previews if _is_idle(item) and item.status.connection_secret is not None]
    chosen = context.preview_checks.choose_secrets(project.meta.uid, idle, now) if project.status.ready else []
    try:
        return tuple(item.meta.name for item in chosen if not has_complete_secret(context, item))
    except Forbidden:  # the operator's RoleBinding is missing, and this reconcile creates it again
        return ()


def _is_idle(item: PreviewObject) -> bool:
    """Tells whether the preview is ready and neither claimed nor being deleted, and its spec can be read."""
    status = item.status
    return (
        item.spec is not None
        and status.state is PreviewState.READY
        and status.active_import is None
        and not item.meta.deleting
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


def _read_api_server(context: ReconcileContext) -> tuple[ApiServerEndpoint, ...] | None:
    """Returns None without the right to read the addresses, which an admin may have to grant after an upgrade."""
    try:
        return read_api_server(context.cluster) if context.policy.network_policy else ()
    except Forbidden:
        return None


def _list_users(
    context: ReconcileContext, key: ResourceKey, namespace: str
) -> tuple[list[PreviewObject], list[ImportOwner]]:
    """Lists the previews and imports of a Project.

    A Project that nothing uses loses its finalizer, and the address of its server may change. So the API server must
    confirm that it has no preview with a database, and no import.
    """
    previews = _filter_previews(context.lists, key, namespace)
    if not any(FINALIZER_PREVIEW in item.meta.finalizers for item in previews):
        previews = _filter_previews(context.direct_lists, key, namespace)
    imports = _filter_imports(context.lists, key, namespace)
    return previews, imports or _filter_imports(context.direct_lists, key, namespace)


def _list_clone_imports(context: ReconcileContext, namespace: str) -> frozenset[str]:
    """Lists the names of the imports that fill clones, of all Projects: any preview may name one."""
    previews = context.lists.list_previews(namespace)
    return frozenset(item.status.clone_import for item in previews if item.status.clone_import)


def _filter_previews(lists: ResourceLists, key: ResourceKey, namespace: str) -> list[PreviewObject]:
    """A preview whose spec cannot be read may be of this Project: its database must not be taken for an orphan."""
    return [item for item in lists.list_previews(namespace) if item.spec is None or item.spec.project == key.name]


def _filter_imports(lists: ResourceLists, key: ResourceKey, namespace: str) -> list[ImportOwner]:
    return [item for item in lists.list_import_owners(namespace) if item.project == key.name]


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
    lists = context.lists if project.status.ready else context.direct_lists
    older = [
        other
        for other in lists.list_projects()
        if other.spec is not None
        and other.spec.namespace == spec.namespace
        and other.meta.uid != project.meta.uid
        and (other.meta.created_at, other.meta.uid) < age
        and not other.meta.deleting
    ]
    return min(older, key=lambda other: other.meta.created_at).meta.name if older else None
