"""Tests that the chart renders valid, restricted objects, checks its values, and grants few permissions."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from tests.charts.conftest import CHART, Helm, Manifest, Render

from pgimport.api.main import STOP_SECONDS
from pgimport.model.import_spec import ImportSpec
from pgimport.model.names import (
    EARLIER_NAMES,
    FINALIZER_PREVIEW,
    FINALIZER_PROJECT,
    namespace_names,
    outbox_name,
)
from pgimport.model.preview_spec import PreviewSpec
from pgimport.model.project_spec import ProjectSpec
from pgimport.model.uploads import EmbeddedSettings, S3Settings

EXAMPLES = CHART / "examples"
BINDINGS = [EARLIER_NAMES.operator_binding, EARLIER_NAMES.api_binding, EARLIER_NAMES.connection_reader]
TRIAL: Manifest = yaml.safe_load((EXAMPLES / "values.yaml").read_text(encoding="utf-8"))
UPLOADS = {"enabled": True, "endpoint": "http://store:9000", "bucket": "dumps", "credentialsSecret": "store"}
WITH_KEY: Manifest = {"enabled": True, "initialKey": {"enabled": True, "organizationID": "42"}}
PLACEMENT: Manifest = {
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "db", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"}
    ],
    "priorityClassName": "high",
    "runtimeClassName": "gvisor",
    "podLabels": {"network": "internal"},
    "podAnnotations": {"example.test/scrape": "true"},
    "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy.test:3128"}],
}
EVERYTHING: Manifest = {
    "api": {
        "enabled": True,
        "replicas": 2,
        "trustedProxies": ["10.0.0.1"],
        "page": {"enabled": False},
        "ingress": {
            "enabled": True,
            "className": "nginx",
            "annotations": {"example.test/size": "0"},
            "host": "pgimport.test",
            "tlsSecret": "certificate",
        },
        "clerk": {
            "jwksURL": "https://clerk.test/jwks",
            "issuer": "https://clerk.test",
            "parties": ["https://app.test"],
        },
        "initialKey": {"enabled": True, "organizationID": "42"},
        "serviceAccount": {"create": False, "name": "mine-too"},
        "podDisruptionBudget": {"enabled": True},
        "signingKeys": {"existingSecret": "signing-keys"},
        **PLACEMENT,
    },
    "uploads": UPLOADS,
    "commonLabels": {"team": "platform"},
    "ipFamilyPolicy": "PreferDualStack",
    "ipFamilies": ["IPv6", "IPv4"],
    "image": {
        "registry": "mirror.test:5000",
        "repository": "pgimport/operator",
        "tag": "1.2.3",
        "digest": f"sha256:{'a' * 64}",
        "pullPolicy": "Always",
    },
    "imagePullSecrets": [{"name": "one"}, {"name": "two"}],
    "worker": {"images": {"17": "mirror.test:5000/worker:17"}},
    "operator": {"logLevel": "debug", **PLACEMENT},
    "rbac": {"projectNamespaces": ["acme-databases"]},
    "metrics": {
        "podMonitor": {"enabled": True},
        "prometheusRule": {"enabled": True},
        "dashboard": {"enabled": True},
        "networkPolicy": {"create": True, "from": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}]},
    },
    "networkPolicy": {"create": False, "deniedCIDRs": ["10.20.0.0/16", "2001:db8::/32"]},
    "serviceAccount": {"create": False, "name": "mine"},
    "crds": {"install": False},
    "embeddedServer": {
        "enabled": True,
        "storage": {"persistent": True, "size": "5Gi", "storageClassName": "fast"},
        "project": {
            "name": "acme",
            "organizationID": "42",
            "namespace": "acme-databases",
            "createNamespace": False,
            "sources": {"allowedCIDRs": ["10.0.0.0/8"]},
            "storageLimitBytes": 123456789012,
            "allowedExtensions": [],
            "limits": {"maxConcurrentImports": 2, "maxPreviews": 3},
        },
    },
}
SETS = {
    "the defaults": {},
    "a trial": TRIAL,
    "everything": EVERYTHING,
    "an API": {"api": {"enabled": True}, "uploads": {"embedded": {"storage": {"persistent": True}}}},
    "a server without a project": {"embeddedServer": {"enabled": True, "project": {"create": False}}},
    "roles of the admin": {"rbac": {"create": False}, "api": WITH_KEY, **TRIAL},
    "another name": {"fullnameOverride": "imports", "embeddedServer": {"enabled": True}},
}
each_set = pytest.mark.parametrize("values", SETS.values(), ids=SETS)


class UniqueKeys(yaml.SafeLoader):
    """Refuses a mapping in which a key occurs twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"{keys}: {node.start_mark}"
        return super().construct_mapping(node, deep)


def find(documents: list[Manifest], kind: str, name: str) -> Manifest:
    """Returns an object of the release's namespace or of the whole cluster."""
    named = [body for body in documents if body["kind"] == kind and body["metadata"]["name"] == name]
    return next(body for body in named if body["metadata"].get("namespace") != "default")


def pods(documents: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    for document in documents:
        name = f"{document['kind']} {document['metadata']['name']}"
        if document["kind"] == "Pod":
            yield name, document["spec"]
        elif "template" in document.get("spec", {}):
            yield name, document["spec"]["template"]["spec"]


def environment(documents: list[Manifest], kind: str, name: str) -> dict[str, Any]:
    (container,) = dict(pods(documents))[f"{kind} {name}"]["containers"]
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}


# --- What is rendered --------------------------------------------------------------------------------------------


@each_set
def test_lint(values: Manifest, helm: Helm) -> None:
    result = helm("lint", "--strict", str(CHART), values=values)
    assert result.returncode == 0, result.stdout


@pytest.mark.thorough
@each_set
def test_every_object_is_valid(values: Manifest, render: Render) -> None:
    for document in render(values):
        kubernetes_validate.validate(document, "1.37", strict=True)


@each_set
def test_every_pod_is_restricted(values: Manifest, render: Render) -> None:
    specs = dict(pods(render(values)))
    assert "Deployment pgimport-operator" in specs or "Deployment imports-operator" in specs
    for name, spec in specs.items():
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), name
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] > 0, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        allowed = {"configMap", "emptyDir", "persistentVolumeClaim", "secret"}
        assert all(set(volume) - {"name"} <= allowed for volume in spec.get("volumes", [])), name
        for container in spec["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False, name
            assert security["readOnlyRootFilesystem"] is True, name
            assert security["runAsNonRoot"] is True, name
            assert security["capabilities"] == {"drop": ["ALL"]}, name
            assert "hostPort" not in str(container.get("ports")), name
            assert {"requests", "limits"} <= container["resources"].keys(), name


@each_set
def test_no_right_is_a_wildcard(values: Manifest, render: Render) -> None:
    rules = [rule for document in render(values) for rule in document.get("rules", [])]
    assert bool(rules) == values.get("rbac", {}).get("create", True)
    assert not [rule for rule in rules if "*" in str(rule)]


def test_secrets_are_never_readable_cluster_wide(render: Render) -> None:
    documents = render(TRIAL)
    bound = {document["roleRef"]["name"] for document in documents if document["kind"] == "ClusterRoleBinding"}
    rules = [
        rule
        for document in documents
        if document["kind"] == "ClusterRole" and document["metadata"]["name"] in bound
        for rule in document["rules"]
    ]
    assert bound
    assert "secrets" not in str(rules)


def test_the_operator_only_lists_the_workloads_of_projects(render: Render) -> None:
    documents = [item for item in render() if "workloads" in str(item.get("rules"))]
    assert [item["metadata"]["name"] for item in documents] == ["pgimport-tenant"]
    (rule,) = [rule for rule in documents[0]["rules"] if rule["resources"] == ["workloads"]]
    assert (rule["apiGroups"], rule["verbs"]) == (["kueue.x-k8s.io"], ["list"])


def test_the_operator_binds_only_the_tenant_role(render: Render) -> None:
    rules = find(render(), "ClusterRole", "pgimport-operator")["rules"]
    (bind,) = [rule for rule in rules if "bind" in rule["verbs"]]
    assert bind["resourceNames"] == ["pgimport-tenant"]
    named = [rule for rule in rules if rule["resources"] == ["rolebindings"] and "resourceNames" in rule]
    assert [rule["resourceNames"] for rule in named] == [BINDINGS]
    assert find(render(), "ClusterRole", "pgimport-tenant")


def test_the_operator_may_change_one_config_map_of_its_namespace(render: Render) -> None:
    """The outbox of webhooks. The chart creates it without entries, which an upgrade would overwrite."""
    documents = render({"fullnameOverride": "imports"})
    outbox = find(documents, "ConfigMap", outbox_name("imports"))
    assert "data" not in outbox
    (rule,) = [
        item for item in find(documents, "Role", "imports-operator")["rules"] if "configmaps" in item["resources"]
    ]
    assert (rule["resourceNames"], rule["verbs"]) == ([outbox_name("imports")], ["get", "patch"])


def test_objects_carry_their_namespace(render: Render) -> None:
    """The right to read the addresses of the API server is the exception: it is in `default`."""
    cluster_wide = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "Namespace"}
    elsewhere = []
    for document in render(TRIAL):
        if document["kind"] not in cluster_wide and document["metadata"]["namespace"] != "pgimport-system":
            elsewhere.append((document["kind"], document["metadata"]["namespace"], document["metadata"]["name"]))
    name = ("default", "pgimport-operator")
    assert elsewhere == [("Role", *name), ("RoleBinding", *name)]


def test_the_operator_may_change_only_its_own_network_policy(render: Render) -> None:
    documents = render({"fullnameOverride": "imports"})
    rules = find(documents, "ClusterRole", "imports-tenant")["rules"]
    policies = [rule for rule in rules if rule["resources"] == ["networkpolicies"]]
    created = environment(documents, "Deployment", "imports-operator")["PGIMPORT_RELEASE_NAME"]
    assert [(rule["verbs"], rule.get("resourceNames")) for rule in policies] == [
        (["create"], None),
        (["get", "patch", "delete"], [namespace_names(created).network_policy]),
    ]


# --- The operator ------------------------------------------------------------------------------------------------


def test_one_operator_at_a_time(render: Render) -> None:
    spec = find(render(), "Deployment", "pgimport-operator")["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}
    (container,) = spec["template"]["spec"]["containers"]
    assert container["image"] == "pgimport/operator:0.1.0"
    assert container["args"] == ["operator"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert [port["containerPort"] for port in container["ports"]] == [8080, 8081]


def test_environment_of_the_operator(render: Render) -> None:
    variables = environment(render(), "Deployment", "pgimport-operator")
    assert json.loads(variables.pop("PGIMPORT_WORKER_IMAGES")) == {
        "17": "pgimport/worker-17:0.1.0",
        "18": "pgimport/worker-18:0.1.0",
    }
    assert variables == {
        "PGIMPORT_NAMESPACE": {"fieldRef": {"fieldPath": "metadata.namespace"}},
        "PGIMPORT_POD_IP": {"fieldRef": {"fieldPath": "status.podIP"}},
        "PGIMPORT_SERVICE_ACCOUNT": {"fieldRef": {"fieldPath": "spec.serviceAccountName"}},
        "PGIMPORT_TENANT_CLUSTER_ROLE": "pgimport-tenant",
        "PGIMPORT_IMAGE_PULL_POLICY": "IfNotPresent",
        "PGIMPORT_IMAGE_PULL_SECRETS": "",
        "PGIMPORT_WATCH_NAMESPACES": "",
        "PGIMPORT_RELEASE_NAME": "pgimport",
        "PGIMPORT_NETWORK_POLICY": "true",
        "PGIMPORT_DENIED_NETWORKS": "",
        "PGIMPORT_LOG_LEVEL": "info",
    }


@pytest.mark.parametrize("deployment", ["pgimport-operator", "pgimport-api"])
def test_the_upload_store_reaches_operator_and_api(render: Render, deployment: str) -> None:
    variables = environment(render({"api": {"enabled": True}, "uploads": UPLOADS}), "Deployment", deployment)
    settings = S3Settings.model_validate(json.loads(variables["PGIMPORT_UPLOADS"]))
    assert (settings.endpoint, settings.bucket, settings.max_bytes) == ("http://store:9000", "dumps", 100 * 1024**3)
    assert variables["AWS_SECRET_ACCESS_KEY"] == {"secretKeyRef": {"name": "store", "key": "AWS_SECRET_ACCESS_KEY"}}
    assert "PGIMPORT_UPLOADS_SECRET" not in variables


@pytest.mark.parametrize("deployment", ["pgimport-operator", "pgimport-api"])
def test_uploads_lie_in_the_apis_volume_where_no_store_is(render: Render, deployment: str) -> None:
    documents = render({"api": {"enabled": True}})
    variables = environment(documents, "Deployment", deployment)
    settings = EmbeddedSettings.model_validate(json.loads(variables["PGIMPORT_UPLOADS"]))
    assert (settings.endpoint, settings.capacity) == ("http://pgimport-api.pgimport-system.svc", 20 * 1024**3)
    assert variables["PGIMPORT_UPLOADS_SECRET"] == {"secretKeyRef": {"name": "pgimport-api", "key": "uploads"}}
    volumes = dict(pods(documents))["Deployment pgimport-api"]["volumes"]
    (volume,) = [volume for volume in volumes if volume["name"] == "uploads"]
    assert volume["emptyDir"] == {"sizeLimit": "20Gi"}
    assert find(documents, "Deployment", "pgimport-api")["spec"]["strategy"] == {"type": "Recreate"}


def test_uploads_in_a_claim(render: Render) -> None:
    storage = {"persistent": True, "size": "50Gi", "storageClassName": "fast"}
    documents = render({"api": {"enabled": True}, "uploads": {"embedded": {"storage": storage}}})
    claim = find(documents, "PersistentVolumeClaim", "pgimport-api-uploads")
    assert (claim["spec"]["storageClassName"], claim["spec"]["resources"]["requests"]) == ("fast", {"storage": "50Gi"})
    volumes = dict(pods(documents))["Deployment pgimport-api"]["volumes"]
    (volume,) = [volume for volume in volumes if volume["name"] == "uploads"]
    assert volume["persistentVolumeClaim"] == {"claimName": "pgimport-api-uploads"}


@pytest.mark.parametrize(
    "values",
    [{"uploads": {"embedded": {"enabled": False}}}, {"uploads": UPLOADS}, {"api": {"enabled": False}}],
    ids=["disabled", "a store of its own", "no API"],
)
def test_without_the_embedded_store_there_is_nothing_of_it(render: Render, values: Manifest) -> None:
    documents = render({"api": {"enabled": True}} | values)
    assert "PGIMPORT_UPLOADS_SECRET" not in str(documents)
    assert "/var/lib/pgimport" not in str(documents)
    assert not [body for body in documents if body["kind"] == "PersistentVolumeClaim"]


def test_more_replicas_need_another_store(helm: Helm, render: Render) -> None:
    message = helm("template", "pgimport", str(CHART), values={"api": {"enabled": True, "replicas": 2}}).stderr
    assert "api.replicas: uploads are in a volume of one pod" in message
    assert "uploads.embedded.enabled=false" in message
    assert render({"api": {"enabled": True, "replicas": 2}, "uploads": {"embedded": {"enabled": False}}})


def test_the_apis_strategy_is_named_as_a_whole(render: Render) -> None:
    """Kubernetes refuses an upgrade to the strategy Recreate that keeps the parameters of RollingUpdate."""
    spec = find(render({"api": {"enabled": True}, "uploads": UPLOADS}), "Deployment", "pgimport-api")["spec"]
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


@pytest.mark.parametrize("organization", ["42", "acme #1", "acme: eu", 'say "hi"'])
def test_the_initial_key_is_of_the_named_organization(render: Render, organization: str) -> None:
    """In YAML, ` #` begins a comment: the key was of the organization acme."""
    key = {"enabled": True, "organizationID": organization}
    (container,) = dict(pods(render({"api": {"enabled": True, "initialKey": key}})))["Job pgimport-initial-key"][
        "containers"
    ]
    assert f"--organization={organization}" in container["args"]


def test_a_replica_serves_until_no_request_comes_to_it(render: Render) -> None:
    """Kubernetes ends a pod while it still tells the nodes. A single replica has nobody to take over."""
    for replicas, hooks in ((1, None), (2, {"preStop": {"sleep": {"seconds": 5}}})):
        documents = render({"api": {"enabled": True, "replicas": replicas}, "uploads": UPLOADS})
        spec = find(documents, "Deployment", "pgimport-api")["spec"]["template"]["spec"]
        assert spec["containers"][0].get("lifecycle") == hooks
        assert spec["terminationGracePeriodSeconds"] > STOP_SECONDS + 5


def test_an_ingress_leads_to_the_api(render: Render) -> None:
    spec = find(render(EVERYTHING), "Ingress", "pgimport-api")["spec"]
    (rule,) = spec["rules"]
    (path,) = rule["http"]["paths"]
    assert (spec["ingressClassName"], rule["host"], path["path"]) == ("nginx", "pgimport.test", "/")
    assert path["backend"] == {"service": {"name": "pgimport-api", "port": {"name": "http"}}}
    assert spec["tls"] == [{"secretName": "certificate", "hosts": ["pgimport.test"]}]


def test_a_gateway_leads_to_the_api(render: Render) -> None:
    gateways = [{"name": "public", "namespace": "gateways"}]
    route = {"enabled": True, "parentRefs": gateways, "hostnames": ["pgimport.test"]}
    spec = find(render({"api": {"enabled": True, "httpRoute": route}}), "HTTPRoute", "pgimport-api")["spec"]
    assert (spec["parentRefs"], spec["hostnames"]) == (gateways, ["pgimport.test"])
    rule = {"backendRefs": [{"name": "pgimport-api", "port": 80}]}
    assert spec["rules"] == [rule]
    slow = {"enabled": True, "httpRoute": route | {"timeouts": {"request": "0s"}}}
    spec = find(render({"api": slow}), "HTTPRoute", "pgimport-api")["spec"]
    assert spec["rules"] == [rule | {"timeouts": {"request": "0s"}}]


@pytest.mark.parametrize("enabled", [True, False])
def test_the_notes_lead_to_the_web_page(helm: Helm, enabled: bool) -> None:
    values = {"api": {"enabled": True, "page": {"enabled": enabled}}}
    notes = helm("install", "x", str(CHART), "--dry-run=client", values=values)
    assert notes.returncode == 0, notes.stderr
    assert ("http://localhost:8090/ui/" in notes.stdout) is enabled


def test_routes_are_created_only_if_they_are_asked_for(helm: Helm, render: Render) -> None:
    kinds = {document["kind"] for document in render({"api": {"enabled": True}})}
    assert not kinds & {"Ingress", "HTTPRoute"}
    message = helm("template", "x", str(CHART), values={"api": {"enabled": True, "ingress": {"enabled": True}}}).stderr
    assert "api.ingress.host is missing" in message


@pytest.mark.parametrize("enabled", [True, False])
def test_the_page_can_be_left_out(render: Render, enabled: bool) -> None:
    documents = render({"api": {"enabled": True, "page": {"enabled": enabled}}})
    assert environment(documents, "Deployment", "pgimport-api")["PGIMPORT_PAGE"] == str(enabled).lower()


def test_the_apis_service(render: Render) -> None:
    service = find(render({"api": {"enabled": True}}), "Service", "pgimport-api")["spec"]
    assert (service["type"], service["ports"]) == ("ClusterIP", [{"name": "http", "port": 80, "targetPort": "http"}])
    node_port = {"type": "NodePort", "nodePort": 30090}
    service = find(render({"api": {"enabled": True, "service": node_port}}), "Service", "pgimport-api")["spec"]
    assert (service["type"], service["ports"][0]["nodePort"]) == ("NodePort", 30090)
    internal = {"service.beta.kubernetes.io/azure-load-balancer-internal": "true"}
    balancer = {"type": "LoadBalancer", "annotations": internal}
    service = find(render({"api": {"enabled": True, "service": balancer}}), "Service", "pgimport-api")
    assert (service["spec"]["type"], service["metadata"]["annotations"]) == ("LoadBalancer", internal)


def test_the_api_reads_no_secret_but_the_keys(render: Render) -> None:
    """The API also reads the previews' connections, by a Role that the operator creates."""
    documents = render({"api": {"enabled": True}})
    rules = [
        rule
        for kind, name in (
            ("ClusterRole", "pgimport-api"),
            ("ClusterRole", "pgimport-api-tenant"),
            ("Role", "pgimport-api"),
        )
        for rule in find(documents, kind, name)["rules"]
        if "secrets" in rule["resources"]
    ]
    assert [(rule["verbs"], rule.get("resourceNames")) for rule in rules] == [
        (["create"], None),
        (["get"], ["pgimport-api-keys"]),
    ]


def test_values_reach_the_operator(render: Render) -> None:
    documents = render(EVERYTHING)
    variables = environment(documents, "Deployment", "pgimport-operator")
    assert variables["PGIMPORT_IMAGE_PULL_SECRETS"] == "one,two"
    assert variables["PGIMPORT_IMAGE_PULL_POLICY"] == "Always"
    assert variables["PGIMPORT_LOG_LEVEL"] == "debug"
    assert variables["PGIMPORT_NETWORK_POLICY"] == "false"
    assert variables["PGIMPORT_DENIED_NETWORKS"] == "10.20.0.0/16,2001:db8::/32"
    assert json.loads(variables["PGIMPORT_WORKER_IMAGES"])["17"] == "mirror.test:5000/worker:17"
    spec = dict(pods(documents))["Deployment pgimport-operator"]
    assert spec["containers"][0]["image"] == f"mirror.test:5000/pgimport/operator:1.2.3@sha256:{'a' * 64}"
    assert spec["imagePullSecrets"] == [{"name": "one"}, {"name": "two"}]
    assert spec["serviceAccountName"] == "mine"
    assert (spec["nodeSelector"], spec["priorityClassName"]) == ({"disk": "ssd"}, "high")
    assert "pgimport-operator" not in [
        document["metadata"]["name"] for document in documents if document["kind"] == "ServiceAccount"
    ]


def test_services_reach_their_pods(render: Render) -> None:
    documents = render(TRIAL)
    for service, kind, workload in (
        ("pgimport-operator-metrics", "Deployment", "pgimport-operator"),
        ("pgimport-server", "StatefulSet", "pgimport-server"),
        ("pgimport-server-headless", "StatefulSet", "pgimport-server"),
    ):
        selector = find(documents, "Service", service)["spec"]["selector"]
        spec = find(documents, kind, workload)["spec"]
        assert selector == spec["selector"]["matchLabels"]
        assert selector.items() <= spec["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize(("kind", "name"), [("Deployment", "pgimport-operator"), ("Job", "pgimport-release")])
def test_an_operator_and_its_uninstall_have_one_scope(kind: str, name: str, render: Render) -> None:
    """An uninstall without the scope would release the objects of another operator."""
    documents = render({"operator": {"watchNamespaces": ["shop", "blog"]}})
    assert environment(documents, kind, name)["PGIMPORT_WATCH_NAMESPACES"] == "shop,blog"


def test_roles_can_be_left_to_the_admin(render: Render) -> None:
    """No other object changes, so that the roles can have the same names."""
    values = {**TRIAL, "api": WITH_KEY}
    without = render({**values, "rbac": {"create": False}})
    kinds = {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}
    assert kinds & {body["kind"] for body in render({**values, "rbac": {"create": True}})} == kinds
    assert not kinds & {body["kind"] for body in without}

    def others(documents: list[Manifest]) -> set[tuple[str, str]]:
        return {(body["kind"], body["metadata"]["name"]) for body in documents if body["kind"] not in kinds}

    assert others(without) == others(render(values))


def strings(value: Any) -> Iterator[str]:
    """Yields all names and namespaces, and all values of labels and variables."""
    if isinstance(value, list):
        for item in value:
            yield from strings(item)
    if isinstance(value, dict):
        for key, item in value.items():
            if key in ("name", "namespace", "value", "secretName", "serviceAccountName"):
                yield item
            elif key in ("labels", "matchLabels", "nodeSelector"):
                yield from item.values()
            else:
                yield from strings(item)


def test_a_name_that_looks_like_a_number_stays_a_name(helm: Helm) -> None:
    """The API server refuses numbers and booleans in place of names and labels."""
    values = {
        "nameOverride": "0x10",
        "fullnameOverride": "123",
        "serviceAccount": {"create": False, "name": "123"},
        "imagePullSecrets": [{"name": "123"}],
        "api": {"enabled": True, "serviceAccount": {"name": "456"}, "signingKeys": {"existingSecret": "789"}},
        "rbac": {"projectNamespaces": ["123"]},
        "embeddedServer": {"enabled": True, "project": {"name": "on", "namespace": "123"}},
        "crds": {"install": False},
    }
    result = helm("template", "1234", str(CHART), "--namespace", "456", values=values)
    documents = [document for document in yaml.load_all(result.stdout, Loader=UniqueKeys) if document]
    assert len(documents) > 30, result.stderr
    assert [(body["kind"], text) for body in documents for text in strings(body) if not isinstance(text, str)] == []


@pytest.mark.parametrize(
    ("release", "values", "service"),
    [
        ("team.databases", {}, "team-databases-pgimport-operator-metrics"),
        ("pgimport", {"nameOverride": "team.db"}, "pgimport-team-db-operator-metrics"),
        ("pgimport", {"fullnameOverride": "team.db"}, "team-db-operator-metrics"),
        ("team.pgimport", {}, "team-pgimport-operator-metrics"),
        ("a" * 39 + ".pgimport", {}, "a" * 39 + "-operator-metrics"),
    ],
)
def test_a_dot_in_a_name_becomes_a_dash(helm: Helm, release: str, values: Manifest, service: str) -> None:
    """A release may be called `team.databases`, but a Service may not."""
    result = helm("template", release, str(CHART), values=values)
    documents = [document for document in yaml.load_all(result.stdout, Loader=UniqueKeys) if document]
    assert [body["metadata"]["name"] for body in documents if body["kind"] == "Service"] == [service]


# --- CRDs and hooks ----------------------------------------------------------------------------------------------


def test_crds_are_the_generated_ones_and_stay(render: Render) -> None:
    definitions = {body["metadata"]["name"]: body for body in render() if body["kind"] == "CustomResourceDefinition"}
    assert definitions.keys() == {path.stem for path in (CHART / "files/crds").glob("*.yaml")}
    for name, document in definitions.items():
        generated = yaml.safe_load((CHART / f"files/crds/{name}.yaml").read_text(encoding="utf-8"))
        assert document["spec"] == generated["spec"]
        assert document["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_crds_can_be_left_out(render: Render) -> None:
    assert "CustomResourceDefinition" not in {doc["kind"] for doc in render({"crds": {"install": False}})}


def test_finalizers_are_released_before_an_uninstall(render: Render) -> None:
    documents = render()
    job = find(documents, "Job", "pgimport-release")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-delete"
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["cli", "release"]
    assert environment(documents, "Job", "pgimport-release") == {
        "PGIMPORT_NAMESPACE": {"fieldRef": {"fieldPath": "metadata.namespace"}},
        "PGIMPORT_DEPLOYMENT": "pgimport-operator",
        "PGIMPORT_WATCH_NAMESPACES": "",
        "PGIMPORT_RELEASE_NAME": "pgimport",
        "PGIMPORT_JOB": job["metadata"]["name"],
    }
    readable = [rule for rule in find(documents, "Role", "pgimport-release")["rules"] if rule["resources"] == ["jobs"]]
    assert [(rule["resourceNames"], rule["verbs"]) for rule in readable] == [([job["metadata"]["name"]], ["get"])]
    assert FINALIZER_PREVIEW != FINALIZER_PROJECT
    rules = find(documents, "ClusterRole", "pgimport-release")["rules"]
    assert {"projects", "previewdatabases"} <= {name for rule in rules for name in rule["resources"]}
    named = {name: rule["resourceNames"] for rule in rules if "resourceNames" in rule for name in rule["resources"]}
    assert named == {
        "rolebindings": BINDINGS,
        "roles": [EARLIER_NAMES.connection_reader],
    }


def test_the_chart_can_bind_the_roles_so_that_the_operator_need_not(render: Render) -> None:
    values = {"rbac": {"projectNamespaces": ["shop", "blog"]}, "api": {"enabled": True}}
    documents = render(values)
    for kind in ("ClusterRole", "Role"):
        rules = [rule for body in documents if body["kind"] == kind for rule in body["rules"]]
        assert not [rule for rule in rules if "bind" in rule["verbs"]]
    operator = find(documents, "ClusterRole", "pgimport-operator")["rules"]
    assert not [rule for rule in operator if "rolebindings" in rule["resources"]]
    bindings = [body for body in documents if body["kind"] == "RoleBinding"]
    for namespace in ("shop", "blog"):
        granted = {
            (body["roleRef"]["kind"], body["roleRef"]["name"], body["subjects"][0]["name"])
            for body in bindings
            if body["metadata"]["namespace"] == namespace
        }
        assert granted == {
            ("ClusterRole", "pgimport-tenant", "pgimport-operator"),
            ("ClusterRole", "pgimport-api-tenant", "pgimport-api"),
            ("Role", EARLIER_NAMES.connection_reader, "pgimport-api"),
        }
    names = {body["metadata"]["name"] for body in bindings if body["metadata"]["namespace"] == "shop"}
    assert not names & {*BINDINGS}, "Helm refuses to replace an object of the operator"
    variables = environment(documents, "Deployment", "pgimport-operator")
    assert variables["PGIMPORT_API_SERVICE_ACCOUNT"] == "pgimport-api"
    assert not {"PGIMPORT_SERVICE_ACCOUNT", "PGIMPORT_TENANT_CLUSTER_ROLE", "PGIMPORT_API_CLUSTER_ROLE"} & {*variables}
    without_api = render({"rbac": {"projectNamespaces": ["shop"]}})
    assert [body["metadata"]["name"] for body in without_api if body["metadata"].get("namespace") == "shop"] == [
        "pgimport-project-operator"
    ]


def test_the_names_of_bindings_follow_the_release(render: Render) -> None:
    documents = render({"fullnameOverride": "imports", "api": {"enabled": True}})
    for kind, name in (("Deployment", "imports-operator"), ("Job", "imports-release")):
        assert environment(documents, kind, name)["PGIMPORT_RELEASE_NAME"] == "imports"
    names = namespace_names("imports")
    bindings = [names.operator_binding, names.api_binding, names.connection_reader]

    def read_names(role: str, resource: str, verb: str) -> list[str]:
        rules = find(documents, "ClusterRole", role)["rules"]
        named = [rule for rule in rules if rule["resources"] == [resource] and verb in rule["verbs"]]
        return [name for rule in named for name in rule.get("resourceNames", ())]

    assert read_names("imports-operator", "rolebindings", "delete") == [*bindings, *BINDINGS]
    assert read_names("imports-tenant", "roles", "patch") == [names.connection_reader]
    assert read_names("imports-tenant", "roles", "delete") == [names.connection_reader, BINDINGS[-1]]
    assert read_names("imports-release", "rolebindings", "delete") == bindings
    assert read_names("imports-release", "roles", "delete") == [names.connection_reader]


def test_hooks_can_be_repeated(render: Render) -> None:
    hooks = [doc for doc in render(TRIAL) if "helm.sh/hook" in doc["metadata"].get("annotations", {})]
    assert {doc["kind"] for doc in hooks} >= {"Job", "Pod"}
    for hook in hooks:
        policies = hook["metadata"]["annotations"]["helm.sh/hook-delete-policy"].split(",")
        assert "before-hook-creation" in policies, hook["metadata"]["name"]
    assert "Project" not in {doc["kind"] for doc in hooks}, "Helm would delete it at every upgrade"


# --- The embedded server and its project -------------------------------------------------------------------------


def rendered_project(documents: list[Manifest]) -> Manifest:
    text = find(documents, "ConfigMap", "pgimport-project")["data"]["project.yaml"]
    project = yaml.safe_load(text)
    assert isinstance(project, dict)
    return project


def test_the_trial_project_is_the_example(render: Render) -> None:
    example = yaml.safe_load((EXAMPLES / "project.yaml").read_text(encoding="utf-8"))
    assert rendered_project(render(TRIAL)) == example


def test_the_project_job_applies_it(render: Render) -> None:
    documents = render(TRIAL)
    job = find(documents, "Job", "pgimport-project")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "post-install,post-upgrade"
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["cli", "apply", "/config/project.yaml"]
    assert container["volumeMounts"][0]["mountPath"] == "/config"
    named = [rule["resourceNames"] for rule in find(documents, "ClusterRole", "pgimport-project")["rules"][1:]]
    assert named == [["demo"]]


def test_values_reach_the_project(render: Render) -> None:
    project = rendered_project(render(EVERYTHING))
    spec = ProjectSpec.model_validate(project["spec"])
    assert project["metadata"]["name"] == "acme"
    assert (spec.organization_id, spec.namespace, spec.storage_limit_bytes) == ("42", "acme-databases", 123456789012)
    assert (spec.allowed_extensions, spec.sources.allowed_cidrs) == ([], ["10.0.0.0/8"])
    assert (spec.limits.max_concurrent_imports, spec.limits.max_previews) == (2, 3)


def test_a_limit_may_be_a_quantity(render: Render) -> None:
    documents = render({"embeddedServer": {"enabled": True, "project": {"storageLimitBytes": "10Gi"}}})
    assert rendered_project(documents)["spec"]["storageLimitBytes"] == "10Gi"


def test_the_tenants_namespace_stays_and_is_restricted(render: Render) -> None:
    metadata = find(render(TRIAL), "Namespace", "demo")["metadata"]
    assert metadata["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert metadata["annotations"] == {"helm.sh/resource-policy": "keep"}


@pytest.mark.parametrize("name", ["project", "preview", "import", "golden", "copy", "pull-requests/golden"])
def test_examples_are_what_the_operator_reads(name: str) -> None:
    models: dict[str, Any] = {"Project": ProjectSpec, "PreviewDatabase": PreviewSpec, "PostgresImport": ImportSpec}
    for example in yaml.safe_load_all((EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8")):
        models[example["kind"]].model_validate(example["spec"])


def test_the_admin_password_stands_in_one_secret_only(render: Render) -> None:
    documents = render(TRIAL)
    password = find(documents, "Secret", "pgimport-server-admin")["data"]["password"]
    assert yaml.safe_dump_all(documents).count(password) == 1
    spec = find(documents, "StatefulSet", "pgimport-server")["spec"]["template"]["spec"]
    assert "secretKeyRef" not in str(spec)
    (volume,) = [volume for volume in spec["volumes"] if "secret" in volume]
    assert volume["secret"]["secretName"] == "pgimport-server-admin"


def test_the_server_has_memory_of_its_own_for_parallel_queries(render: Render) -> None:
    spec = find(render(TRIAL), "StatefulSet", "pgimport-server")["spec"]["template"]["spec"]
    (name,) = [mount["name"] for mount in spec["containers"][0]["volumeMounts"] if mount["mountPath"] == "/dev/shm"]
    (volume,) = [volume for volume in spec["volumes"] if volume["name"] == name]
    assert volume["emptyDir"]["medium"] == "Memory"


def test_storage_is_a_claim_where_it_shall_last(render: Render) -> None:
    spec = find(render(EVERYTHING), "StatefulSet", "pgimport-server")["spec"]
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "fast"
    assert claim["spec"]["resources"]["requests"]["storage"] == "5Gi"
    assert "data" not in [volume["name"] for volume in spec["template"]["spec"]["volumes"]]


# --- Values ------------------------------------------------------------------------------------------------------

BAD = [
    pytest.param({"colour": "red"}, r"colour", id="an unknown value"),
    pytest.param({"webhook": {"enabled": True}}, r"webhook", id="a part that is not there"),
    pytest.param({"image": {"pullPolicy": "Sometimes"}}, r"/image/pullPolicy.*'IfNotPresent'", id="a pull policy"),
    pytest.param({"image": {"name": "x"}}, r"/image.*name", id="a misspelt key"),
    pytest.param({"imagePullSecrets": ["one"]}, r"/imagePullSecrets/0.*want object", id="a pull secret as text"),
    pytest.param({"worker": {"images": {"latest": "x"}}}, r"/worker/images.*latest", id="a major that is no number"),
    pytest.param({"worker": {"images": {"17": "a b"}}}, r"/worker/images/17.*pattern", id="an image with a space"),
    pytest.param({"operator": {"logLevel": "loud"}}, r"/operator/logLevel.*'info'", id="a log level"),
    pytest.param({"operator": {"replicas": 2}}, r"/operator.*replicas", id="two operators"),
    pytest.param({"serviceAccount": {"create": False}}, r"/serviceAccount/name", id="no account at all"),
    pytest.param(
        {"networkPolicy": {"deniedCIDRs": ["0.0.0.0/0"]}}, r"/networkPolicy/deniedCIDRs/0.*pattern", id="all networks"
    ),
    pytest.param(
        {"commonLabels": {"app.kubernetes.io/name": "x"}},
        r"/commonLabels/app.kubernetes.io~1name",
        id="a label of ours",
    ),
    pytest.param(
        {"operator": {"podLabels": {"app.kubernetes.io/instance": "x"}}},
        r"/operator/podLabels/app.kubernetes.io~1instance",
        id="a label that the Deployment selects",
    ),
    pytest.param(
        {"commonLabels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"}},
        r"/commonLabels/rbac.authorization.k8s.io~1aggregate-to-view",
        id="a label that would give all users the operator's rights",
    ),
    pytest.param(
        {"commonLabels": {"pod-security.kubernetes.io/enforce": "privileged"}},
        r"/commonLabels/pod-security.kubernetes.io~1enforce",
        id="a label that would lower the tenant's Pod Security",
    ),
    pytest.param({"commonLabels": {"team": "a b"}}, r"/commonLabels/team.*pattern", id="a label with a space"),
    pytest.param(
        {"operator": {"extraEnv": [{"name": "PGIMPORT_WATCH_NAMESPACES", "value": "shop"}]}},
        r"operator\.extraEnv: PGIMPORT_WATCH_NAMESPACES is set twice",
        id="a variable of the chart",
    ),
    pytest.param(
        {"api": {"enabled": True, "extraEnv": [{"name": "HTTPS_PROXY", "value": proxy} for proxy in ("one", "two")]}},
        r"api\.extraEnv: HTTPS_PROXY is set twice",
        id="a variable with two values",
    ),
    pytest.param(
        {"api": {"service": {"nodePort": 30080}}}, r"/api/service/type.*'NodePort'", id="a node port without the type"
    ),
    pytest.param(
        {"api": {"enabled": True, "ingress": {"enabled": True, "host": "https://a.test/"}}},
        r"/api/ingress/host.*pattern",
        id="a URL as a host",
    ),
    pytest.param(
        {"api": {"enabled": True, "httpRoute": {"enabled": True}}},
        r"api\.httpRoute\.parentRefs is missing",
        id="a route without a gateway",
    ),
    pytest.param(
        {"serviceAccount": {"name": "mine"}, "api": {"enabled": True, "serviceAccount": {"name": "mine"}}},
        r"api\.serviceAccount\.name: the operator has this account",
        id="one account twice",
    ),
    pytest.param({"ipFamilies": ["IPv6", "IPv6"]}, r"/ipFamilies.*equal", id="one IP family twice"),
    pytest.param({"image": {"registry": "https://mirror.test"}}, r"/image/registry.*pattern", id="a registry's URL"),
    pytest.param({"networkPolicy": {"deniedCIDRs": ["10.0.0.0/99"]}}, r"deniedCIDRs/0.*pattern", id="no network"),
    pytest.param({"operator": None}, r"missing property 'operator'", id="a section without content"),
    pytest.param({"rbac": {"projectNamespaces": ["*"]}}, r"/rbac/projectNamespaces/0.*pattern", id="all namespaces"),
    pytest.param({"metrics": {"podMonitor": {"interval": "2m"}}}, r"interval.*pattern", id="rare scrapes"),
    pytest.param({"metrics": {"prometheusRule": {"goldenDataDays": 0}}}, r"goldenDataDays.*minimum", id="no day"),
    pytest.param({"crds": {"install": "yes"}}, r"/crds/install.*want boolean", id="a word for a boolean"),
    pytest.param(
        {"embeddedServer": {"storage": {"size": "big"}}}, r"/embeddedServer/storage/size.*pattern", id="a size"
    ),
    pytest.param(
        {"embeddedServer": {"project": {"name": "a.b"}}}, r"/embeddedServer/project/name.*pattern", id="a dotted name"
    ),
    pytest.param(
        {"embeddedServer": {"project": {"storageLimitBytes": "10 GB"}}},
        r"/embeddedServer/project/storageLimitBytes.*pattern",
        id="a limit",
    ),
    pytest.param(
        {"embeddedServer": {"project": {"limits": {"maxConcurrentImports": 0}}}},
        r"/embeddedServer/project/limits/maxConcurrentImports.*minimum",
        id="no import at a time",
    ),
    pytest.param(
        {"embeddedServer": {"project": {"sources": {"hosts": []}}}},
        r"/embeddedServer/project/sources.*hosts",
        id="hosts",
    ),
]


@pytest.mark.parametrize(("values", "message"), BAD)
def test_refuses_values(values: Manifest, message: str, helm: Helm) -> None:
    result = helm("template", "pgimport", str(CHART), values=values)
    assert result.returncode != 0
    assert re.search(message, result.stderr), result.stderr


def test_a_value_without_a_default_may_be_null(helm: Helm) -> None:
    """Values files are full of keys without a value, whose lines below are commented out."""
    chosen = {
        "api": {**WITH_KEY, "serviceAccount": {"create": True}},
        "embeddedServer": {"enabled": True},
        "metrics": {"networkPolicy": {"create": True}},
    }
    defaults = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    values = without_optional_values(defaults, chosen)
    assert values["operator"]["podLabels"] is None
    result = helm("template", "pgimport", str(CHART), values=values)
    assert result.returncode == 0, result.stderr
    documents = [document for document in yaml.load_all(result.stdout, Loader=UniqueKeys) if document]
    assert '": null' not in json.dumps([body for body in documents if body["kind"] != "CustomResourceDefinition"])


def without_optional_values(defaults: Manifest, chosen: Manifest) -> Manifest:
    """Sets each value to null that has no default and is not chosen."""
    values: Manifest = {}
    for name, default in defaults.items():
        if isinstance(default, dict) and default and name not in ("resources", "labels", "images"):
            values[name] = without_optional_values(default, chosen.get(name, {}))
        elif name in chosen:
            values[name] = chosen[name]
        elif (not default and not isinstance(default, bool)) or name == "resources":
            values[name] = None
    return values


def test_a_value_with_a_default_must_not_be_null() -> None:
    """A null would render no value, or fail without naming its key."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    defaults = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    assert list(not_required(schema, schema, defaults, "")) == []


def not_required(schema: Manifest, part: Manifest, defaults: Manifest, place: str) -> Iterator[str]:
    if "$ref" in part:
        part = schema["definitions"][part["$ref"].rpartition("/")[2]]
    for name, default in defaults.items():
        path = f"{place}{name}"
        if name in ("resources", "labels", "ingress", "httpRoute"):  # null leaves these out
            continue
        if (default or isinstance(default, bool)) and name not in part["required"]:
            yield path
        if isinstance(default, dict) and name in part.get("properties", {}) and name != "images":
            yield from not_required(schema, part["properties"][name], default, f"{path}.")


def test_every_value_is_in_the_readme() -> None:
    readme = (CHART / "README.md").read_text(encoding="utf-8")
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    assert [path for path in leaves(values, "") if f"`{path}`" not in readme] == []


def leaves(values: Manifest, place: str) -> Iterator[str]:
    for name, value in values.items():
        path = f"{place}{name}"
        if isinstance(value, dict) and value and path not in ("worker.images", "operator.resources"):
            if path in ("embeddedServer.resources", "api.resources", "metrics.dashboard.labels"):
                yield path
            else:
                yield from leaves(value, f"{path}.")
        else:
            yield path


def test_the_start_script_names_no_secret() -> None:
    script = Path(CHART / "files/server-start.sh").read_text(encoding="utf-8")
    assert not re.search(r"\$\(.*password|PGPASSWORD|set -x", script)


def test_tenants_may_not_write_a_status(render: Render) -> None:
    documents = render()
    for name, verbs in (("pgimport-edit", {"create", "delete", "patch"}), ("pgimport-view", {"get", "list", "watch"})):
        role = find(documents, "ClusterRole", name)
        (rule,) = role["rules"]
        assert rule["resources"] == ["previewdatabases", "postgresimports", "postgresimportschedules"]
        assert verbs <= set(rule["verbs"])
        assert any("aggregate-to" in label for label in role["metadata"]["labels"])
    assert not [item for item in render({"tenantRoles": {"create": False}}) if item["metadata"]["name"] == name]


@pytest.mark.parametrize("component", ["operator", "api"])
def test_pods_get_placement_labels_and_environment(component: str, render: Render) -> None:
    template = find(render(EVERYTHING), "Deployment", f"pgimport-{component}")["spec"]["template"]
    for name in PLACEMENT.keys() - {"podLabels", "podAnnotations", "extraEnv"}:
        assert template["spec"][name] == PLACEMENT[name]
    assert PLACEMENT["podLabels"].items() <= template["metadata"]["labels"].items()
    assert PLACEMENT["podAnnotations"].items() <= template["metadata"]["annotations"].items()
    assert environment(render(EVERYTHING), "Deployment", f"pgimport-{component}")["HTTPS_PROXY"]
    (container,) = template["spec"]["containers"]
    assert container["image"] == f"mirror.test:5000/pgimport/operator:1.2.3@sha256:{'a' * 64}"


def test_pods_of_hooks_run_where_the_operator_does(render: Render) -> None:
    """On nodes that all have a taint, a hook without tolerations would let the install or the uninstall fail."""
    specs = {name: spec for name, spec in pods(render(EVERYTHING)) if name.startswith(("Job", "Pod"))}
    assert len(specs) == 4
    for spec in specs.values():
        for field in ("nodeSelector", "tolerations", "affinity", "priorityClassName", "runtimeClassName"):
            assert spec[field] == PLACEMENT[field]
        assert "topologySpreadConstraints" not in spec


def test_a_registry_may_have_a_path(render: Render) -> None:
    """Harbor's proxies of other registries are projects."""
    documents = render({"image": {"registry": "mirror.test:5000/proxy"}})
    (container,) = find(documents, "Deployment", "pgimport-operator")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "mirror.test:5000/proxy/pgimport/operator:0.1.0"


def test_all_objects_have_the_common_labels(render: Render) -> None:
    objects = [item for item in render(EVERYTHING) if "labels" in item["metadata"]]
    assert objects
    assert all(item["metadata"]["labels"]["team"] == "platform" for item in objects)
    selectors = [item["spec"]["selector"] for item in objects if item["kind"] in ("Deployment", "Service")]
    assert "platform" not in str(selectors)


def test_a_label_of_one_object_replaces_the_common_one(helm: Helm) -> None:
    """A key that occurs twice is refused by server-side apply, which Helm 4 uses."""
    monitoring = {"enabled": True, "labels": {"team": "observers"}}
    values = {
        "commonLabels": {"team": "platform"},
        "operator": {"podLabels": {"team": "databases"}},
        "api": {"enabled": True, "podLabels": {"team": "web"}},
        "metrics": {"podMonitor": monitoring, "prometheusRule": monitoring, "dashboard": monitoring},
    }
    kinds = [f"--api-versions=monitoring.coreos.com/v1/{kind}" for kind in ("PodMonitor", "PrometheusRule")]
    result = helm("template", "pgimport", str(CHART), "--namespace", "system", *kinds, values=values)
    documents = [document for document in yaml.load_all(result.stdout, Loader=UniqueKeys) if document]
    teams = {(body["kind"], body["metadata"]["name"]): body["metadata"]["labels"]["team"] for body in documents}
    observed = {kind for (kind, _), team in teams.items() if team == "observers"}
    assert (observed, set(teams.values())) == ({"PodMonitor", "PrometheusRule", "ConfigMap"}, {"observers", "platform"})
    for component, team in (("operator", "databases"), ("api", "web")):
        template = find(documents, "Deployment", f"pgimport-{component}")["spec"]["template"]
        assert template["metadata"]["labels"]["team"] == team


def test_signing_keys_of_an_existing_secret_render_the_same_each_time(helm: Helm, render: Render) -> None:
    values = {"api": {"enabled": True, "signingKeys": {"existingSecret": "signing-keys"}}}
    documents = render(values)
    assert not [item for item in documents if item["kind"] == "Secret"]
    volumes = dict(pods(documents))["Deployment pgimport-api"]["volumes"]
    assert [volume["secret"]["secretName"] for volume in volumes if "secret" in volume] == ["signing-keys"]
    uploads = environment(documents, "Deployment", "pgimport-operator")["PGIMPORT_UPLOADS_SECRET"]
    assert uploads == {"secretKeyRef": {"name": "signing-keys", "key": "uploads"}}
    again = helm("template", "pgimport", str(CHART), "--namespace", "pgimport-system", values=values).stdout
    assert [item for item in yaml.safe_load_all(again) if item] == documents


def test_a_platform_can_choose_the_user(render: Render) -> None:
    documents = render({**TRIAL, "security": {"setUser": False}, "api": {"enabled": True}})
    assert environment(documents, "Deployment", "pgimport-operator")["PGIMPORT_SET_USER"] == "false"
    for _, spec in pods(documents):
        assert not {"runAsUser", "runAsGroup", "fsGroup"} & spec["securityContext"].keys()
        assert spec["securityContext"]["runAsNonRoot"] is True


def test_services_have_the_chosen_ip_families(render: Render) -> None:
    services = [body for body in render(EVERYTHING) if body["kind"] == "Service"]
    assert len(services) == 4
    for spec in (service["spec"] for service in services):
        assert (spec["ipFamilyPolicy"], spec["ipFamilies"]) == ("PreferDualStack", ["IPv6", "IPv4"])


def test_a_budget_limits_the_disruption_of_the_api(render: Render) -> None:
    assert find(render(EVERYTHING), "PodDisruptionBudget", "pgimport-api")["spec"]["maxUnavailable"] == 1
