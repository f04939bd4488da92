"""NetworkPolicies in the namespaces of Projects, and the addresses of the API server."""

from pgimport.kubernetes_client import api_paths
from pgimport.kubernetes_client.api_client import Json, KubernetesClient
from pgimport.kubernetes_client.ownership import delete_managed, require_managed
from pgimport.model.errors import NotFound
from pgimport.model.observations import ApiServerEndpoint

# The API server creates this Service and keeps its EndpointSlices up to date.
API_SERVICE, API_NAMESPACE = "kubernetes", "default"
SERVICE_LABEL = "kubernetes.io/service-name"


def read_api_server(cluster: KubernetesClient) -> tuple[ApiServerEndpoint, ...]:
    """Returns the addresses of the Service and of the API server's instances, sorted.

    Network plugins judge a packet before or after the address of a Service is replaced, so both are needed.
    """
    service = cluster.get(api_paths.core(API_NAMESPACE, "services", API_SERVICE))["spec"]
    slices = cluster.get(api_paths.endpoint_slices(API_NAMESPACE), labelSelector=f"{SERVICE_LABEL}={API_SERVICE}")
    endpoints = {
        ApiServerEndpoint(address, port["port"]) for address in service["clusterIPs"] for port in service["ports"]
    } | {
        ApiServerEndpoint(address, port["port"])
        for item in slices["items"]
        if item["addressType"] != "FQDN"
        for endpoint in item.get("endpoints") or ()
        for address in endpoint["addresses"]
        for port in item.get("ports") or ()
    }
    return tuple(sorted(endpoints))


def ensure_network_policy(cluster: KubernetesClient, manifest: Json) -> None:
    """Creates the NetworkPolicy, or replaces its rules and owner if they differ.

    Raises Refused (NameTaken) if it is not ours, Conflict if another writer was faster, and NotFound if the namespace
    does not exist.
    """
    namespace, name = manifest["metadata"]["namespace"], manifest["metadata"]["name"]
    path = api_paths.network_policies(namespace, name)
    try:
        existing = cluster.get(path)
    except NotFound:
        cluster.create(api_paths.network_policies(namespace), manifest)
        return
    owners = manifest["metadata"]["ownerReferences"]
    if existing["spec"] == manifest["spec"] and existing["metadata"].get("ownerReferences") == owners:
        return
    require_managed(existing, f"NetworkPolicy {name} in namespace {namespace}")
    replaced = {
        "/metadata/resourceVersion": existing["metadata"]["resourceVersion"],
        "/metadata/ownerReferences": owners,
        "/spec": manifest["spec"],
    }
    cluster.patch(path, [{"op": "add", "path": field, "value": value} for field, value in replaced.items()])


def remove_network_policy(cluster: KubernetesClient, namespace: str, name: str) -> None:
    """Deletes a NetworkPolicy of ours."""
    delete_managed(cluster, api_paths.network_policies(namespace, name))
