"""URL paths of objects and lists in the Kubernetes API."""

from pgimport.model.names import GROUP, VERSION
from pgimport.model.resources import ResourceKey


def resource(kind: str, namespace: str = "", name: str = "") -> str:
    """Returns the path of a custom resource, or of a list if there is no name. No namespace means all namespaces."""
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"/apis/{GROUP}/{VERSION}{scope}/{kind}" + (f"/{name}" if name else "")


def of_key(key: ResourceKey) -> str:
    return resource(key.kind, key.namespace, key.name)


def core(namespace: str, plural: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{namespace}/{plural}" + (f"/{name}" if name else "")


def jobs(namespace: str, name: str = "") -> str:
    return f"/apis/batch/v1/namespaces/{namespace}/jobs" + (f"/{name}" if name else "")


def workloads(namespace: str, version: str) -> str:
    """Returns the path of the list of Kueue's Workloads."""
    return f"/apis/kueue.x-k8s.io/{version}/namespaces/{namespace}/workloads"


def role_bindings(namespace: str, name: str = "") -> str:
    return f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings" + (f"/{name}" if name else "")


def roles(namespace: str, name: str = "") -> str:
    return f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles" + (f"/{name}" if name else "")


def network_policies(namespace: str, name: str = "") -> str:
    return f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies" + (f"/{name}" if name else "")


def endpoint_slices(namespace: str) -> str:
    return f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"


def deployments(namespace: str, name: str) -> str:
    return f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"


def events(namespace: str) -> str:
    return f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
