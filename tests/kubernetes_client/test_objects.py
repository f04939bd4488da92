"""Tests of custom resources, Jobs, Secrets, RoleBindings and events."""

import secrets
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.kubernetes import Kubernetes, a_body

from pgimport.kubernetes_client import api_paths, custom_resources, jobs, namespaces, secrets_and_config_maps
from pgimport.kubernetes_client.api_client import KubernetesClient
from pgimport.model.errors import Conflict
from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS
from pgimport.model.resources import ImportObject, ResourceKey
from pgimport.model.status import ImportState, ImportStatus, PreviewStatus

SPEC = {
    "project": "shop",
    "source": {"urlSecretRef": {"name": "source", "key": "url"}},
    "target": {"previewDatabase": "pr-42"},
}
PROJECT_SPEC = {
    "organizationID": "capy",
    "namespace": "shop",
    "server": {"clusterID": "eu-1", "host": "pg.internal", "adminSecretRef": {"name": "admin"}},
}


@pytest.fixture
def name() -> str:
    return f"x-{secrets.token_hex(4)}"


def put(cluster: KubernetesClient, plural: str, name: str, **parts: Any) -> ResourceKey:
    namespace = "" if plural == PROJECTS else "shop"
    cluster.create(api_paths.resource(plural, namespace), a_body(plural, name, namespace or None, **parts))
    return ResourceKey(plural, namespace, name)


# --- custom resources ---


def test_a_missing_object_is_none(cluster: KubernetesClient, name: str) -> None:
    assert custom_resources.read_import(cluster, "shop", name) is None
    assert custom_resources.read_preview(cluster, "shop", name) is None
    assert custom_resources.read_project(cluster, name) is None


def test_an_import_is_parsed(cluster: KubernetesClient, name: str) -> None:
    put(cluster, IMPORTS, name, spec=SPEC, status={"observedGeneration": -1})
    import_ = custom_resources.read_import(cluster, "shop", name)
    assert import_ is not None
    assert import_.spec is not None
    assert (import_.spec.project, import_.spec.max_attempts, import_.spec_error) == ("shop", 3, None)
    assert (import_.meta.name, import_.meta.generation, import_.meta.deleting) == (name, 1, False)
    assert import_.status.observed_generation == -1


def test_a_project_has_no_namespace(cluster: KubernetesClient, name: str) -> None:
    put(cluster, PROJECTS, name, spec=PROJECT_SPEC)
    project = custom_resources.read_project(cluster, name)
    assert project is not None
    assert (project.meta.namespace, project.spec and project.spec.server.port) == ("", 5432)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"target": None}, "target.previewDatabase is required unless dryRun is true", id="no target"),
        pytest.param({"jobs": 0}, "spec.jobs: Input should be greater than or equal to 1", id="no stream"),
        pytest.param({"timeout": "never"}, "spec.timeout: 'never' is not a duration", id="no duration"),
        pytest.param({"colour": "blue"}, "spec.colour: Extra inputs are not permitted", id="an unknown field"),
        pytest.param({"source": {}}, "spec.source: exactly one of urlSecretRef and uploadKey", id="no source"),
    ],
)
def test_an_invalid_spec_names_its_field(
    cluster: KubernetesClient, name: str, changes: dict[str, Any], words: str
) -> None:
    spec = {field: value for field, value in (SPEC | changes).items() if value is not None}
    put(cluster, IMPORTS, name, spec=spec)
    import_ = custom_resources.read_import(cluster, "shop", name)
    assert import_ is not None
    assert import_.spec is None
    assert words in (import_.spec_error or "")


def test_unknown_parts_of_a_status_are_ignored(cluster: KubernetesClient, name: str) -> None:
    status = {"state": "running", "attempts": "many", "fromAnotherVersion": 1, "progress": {"phase": "unknown"}}
    put(cluster, IMPORTS, name, spec=SPEC, status=status)
    import_ = custom_resources.read_import(cluster, "shop", name)
    assert import_ is not None
    assert (import_.status.state, import_.status.attempts, import_.status.progress) == (ImportState.RUNNING, None, None)


@pytest.mark.parametrize(
    ("list_function", "expected"),
    [
        pytest.param(custom_resources.list_active_imports, ["new", "pending", "running"], id="not terminal"),
        pytest.param(custom_resources.list_pending_imports, ["new", "pending"], id="neither terminal nor running"),
    ],
)
def test_imports_are_listed_by_their_state(
    cluster: KubernetesClient,
    name: str,
    list_function: Callable[[KubernetesClient, str], list[ImportObject]],
    expected: list[str],
) -> None:
    for state in ("pending", "running", "completed", "failed", "cancelled"):
        put(cluster, IMPORTS, f"{name}-{state}", spec=SPEC, status={"state": state})
    put(cluster, IMPORTS, f"{name}-new", spec=SPEC)
    imports = list_function(cluster, "shop")
    names = [import_.meta.name for import_ in imports]
    states = sorted(listed.removeprefix(f"{name}-") for listed in names if listed.startswith(name))
    assert states == expected


# --- status and finalizers ---


def test_a_status_is_replaced(cluster: KubernetesClient, name: str) -> None:
    key = put(cluster, IMPORTS, name, spec=SPEC, status={"state": "pending", "error": "an old one"})
    import_ = custom_resources.read_import(cluster, "shop", name)
    assert import_ is not None
    custom_resources.write_status(cluster, key, import_.meta, ImportStatus(state=ImportState.RUNNING))
    assert cluster.get(api_paths.of_key(key))["status"] == {
        "state": "running",
        "attemptHistory": [],
        "conditions": [],
    }


def test_a_status_for_an_old_version_is_a_conflict_and_changes_nothing(
    kubernetes: Kubernetes, cluster: KubernetesClient, name: str
) -> None:
    key = put(cluster, PREVIEWS, name, spec={"project": "shop"})
    preview = custom_resources.read_preview(cluster, "shop", name)
    assert preview is not None
    custom_resources.write_status(cluster, key, preview.meta, PreviewStatus(active_import="first"))
    with pytest.raises(Conflict):
        custom_resources.write_status(cluster, key, preview.meta, PreviewStatus(active_import="second"))
    assert cluster.get(api_paths.of_key(key))["status"]["activeImport"] == "first"
    request = kubernetes.requests("PATCH", name)[-1]
    assert request.url.path.endswith(f"/{name}/status")
    assert '"path": "/metadata/resourceVersion"' in request.text


def test_finalizers_are_written_for_the_version_that_was_read(cluster: KubernetesClient, name: str) -> None:
    key = put(cluster, PREVIEWS, name, spec={"project": "shop"})
    preview = custom_resources.read_preview(cluster, "shop", name)
    assert preview is not None
    custom_resources.write_finalizers(cluster, key, preview.meta, ["capydb.dev/database"])
    with pytest.raises(Conflict):
        custom_resources.write_finalizers(cluster, key, preview.meta, [])
    updated = custom_resources.read_preview(cluster, "shop", name)
    assert updated is not None
    assert updated.meta.finalizers == ("capydb.dev/database",)


# --- Jobs ---


def a_job(name: str, owner: str = "import-uid", **status: Any) -> dict[str, Any]:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "ownerReferences": [{"kind": "PostgresImport", "name": "debian", "uid": owner}]},
        "spec": {"backoffLimit": 2},
        "status": status,
    }


def test_our_job_may_be_created_again(cluster: KubernetesClient, name: str) -> None:
    jobs.create_job(cluster, "shop", a_job(name), "import-uid")
    jobs.create_job(cluster, "shop", a_job(name), "import-uid")
    job = jobs.read_job(cluster, "shop", name, "import-uid")
    assert job is not None
    assert (job.ours, job.suspended, job.complete, job.failed_reason) == (True, False, False, None)


def test_a_foreign_job_with_the_name_is_a_conflict(cluster: KubernetesClient, name: str) -> None:
    jobs.create_job(cluster, "shop", a_job(name, "an-earlier-import"), "an-earlier-import")
    with pytest.raises(Conflict):
        jobs.create_job(cluster, "shop", a_job(name), "import-uid")
    job = jobs.read_job(cluster, "shop", name, "import-uid")
    assert job is not None
    assert not job.ours


def test_a_job_that_is_being_deleted_is_a_conflict(cluster: KubernetesClient, name: str) -> None:
    body = a_job(name)
    body["metadata"] |= {"deletionTimestamp": "2026-01-01T12:00:00Z", "finalizers": ["foregroundDeletion"]}
    cluster.create(api_paths.jobs("shop"), body)
    with pytest.raises(Conflict):
        jobs.create_job(cluster, "shop", a_job(name), "import-uid")


@pytest.mark.parametrize(
    ("conditions", "complete", "failed"),
    [
        pytest.param([], False, None, id="running"),
        pytest.param([{"type": "Complete", "status": "True"}], True, None, id="complete"),
        pytest.param(
            [{"type": "FailureTarget", "status": "True", "reason": "PodFailurePolicy"}],
            False,
            "PodFailurePolicy",
            id="about to fail",
        ),
        pytest.param(
            [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}],
            False,
            "DeadlineExceeded",
            id="failed",
        ),
        pytest.param([{"type": "Failed", "status": "False", "reason": "x"}], False, None, id="not failed"),
    ],
)
def test_the_end_of_a_job_is_read_from_its_conditions(
    cluster: KubernetesClient, name: str, conditions: list[dict[str, str]], complete: bool, failed: str | None
) -> None:
    cluster.create(api_paths.jobs("shop"), a_job(name, conditions=conditions))
    job = jobs.read_job(cluster, "shop", name, "import-uid")
    assert job is not None
    assert (job.complete, job.failed_reason) == (complete, failed)


def test_a_job_is_stopped_gets_a_ttl_and_is_deleted(cluster: KubernetesClient, name: str) -> None:
    jobs.create_job(cluster, "shop", a_job(name), "import-uid")
    jobs.stop_job(cluster, "shop", name)
    jobs.set_job_ttl(cluster, "shop", name, 60)
    spec = cluster.get(api_paths.jobs("shop", name))["spec"]
    assert spec == {"backoffLimit": 2, "activeDeadlineSeconds": 1, "ttlSecondsAfterFinished": 60}
    jobs.delete_job(cluster, "shop", name, "uid-of-an-earlier-job")
    uid = cluster.get(api_paths.jobs("shop", name))["metadata"]["uid"]
    jobs.delete_job(cluster, "shop", name, uid)
    assert jobs.read_job(cluster, "shop", name, "import-uid") is None


def test_stopping_a_missing_job_does_nothing(cluster: KubernetesClient, name: str) -> None:
    jobs.stop_job(cluster, "shop", name)
    jobs.set_job_ttl(cluster, "shop", name, 60)
    jobs.delete_job(cluster, "shop", name, "uid")
    assert jobs.read_job(cluster, "shop", name, "import-uid") is None


# --- Secrets ---


def a_secret(name: str, owner: str = "import-uid") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "ownerReferences": [{"kind": "PostgresImport", "name": "debian", "uid": owner}]},
    }


def test_our_secret_keeps_its_entries(cluster: KubernetesClient, name: str) -> None:
    first = secrets_and_config_maps.create_secret(cluster, "shop", a_secret(name), {"seed": b"\x00first"})
    second = secrets_and_config_maps.create_secret(cluster, "shop", a_secret(name), {"seed": b"second"})
    assert first == second == {"seed": b"\x00first"}
    assert secrets_and_config_maps.read_secret(cluster, "shop", name) == first
    secrets_and_config_maps.delete_secret(cluster, "shop", name)
    assert secrets_and_config_maps.read_secret(cluster, "shop", name) is None


def test_a_foreign_secret_with_the_name_is_a_conflict(cluster: KubernetesClient, name: str) -> None:
    secrets_and_config_maps.create_secret(cluster, "shop", a_secret(name, "another-import"), {"seed": b"theirs"})
    with pytest.raises(Conflict):
        secrets_and_config_maps.create_secret(cluster, "shop", a_secret(name), {"seed": b"ours"})
    assert secrets_and_config_maps.read_secret(cluster, "shop", name) == {"seed": b"theirs"}


# --- objects in the namespace of a Project ---


def test_a_role_binding_is_created_once(kubernetes: Kubernetes, cluster: KubernetesClient, name: str) -> None:
    binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": name}}
    namespaces.ensure_role_binding(cluster, "shop", binding)
    namespaces.ensure_role_binding(cluster, "shop", binding)
    requests = [request for request in kubernetes.requests("POST", "/rolebindings") if name in request.text]
    assert len(requests) == 1


def test_an_event_has_a_reporter_and_a_time(cluster: KubernetesClient, name: str) -> None:
    event = {"metadata": {"generateName": f"{name}-", "namespace": "shop"}, "note": "x"}
    namespaces.post_event(cluster, "shop", event)
    (event_body,) = [
        body for body in cluster.get(api_paths.events("shop"))["items"] if body["metadata"]["name"].startswith(name)
    ]
    assert event_body["reportingController"] == "pgimport-operator"
    assert event_body["eventTime"].endswith("Z")


def test_the_newest_warning_event_is_read(cluster: KubernetesClient, name: str) -> None:
    for second, reason, kind in (
        ("01", "Old", "Warning"),
        ("03", "FailedMount", "Warning"),
        ("09", "Scheduled", "Normal"),
    ):
        event = {
            "metadata": {"name": f"{name}-{second}"},
            "type": kind,
            "reason": reason,
            "message": "no such Secret",
            "involvedObject": {"name": name},
            "lastTimestamp": f"2026-01-01T12:00:{second}Z",
        }
        cluster.create(api_paths.core("shop", "events"), event)
    assert namespaces.read_start_warning(cluster, "shop", (name,)) == "FailedMount: no such Secret"
    assert namespaces.read_start_warning(cluster, "shop", ("another",)) is None


@pytest.mark.parametrize(
    ("phase", "exists"),
    [pytest.param("Active", True, id="active"), pytest.param("Terminating", False, id="terminating")],
)
def test_a_terminating_namespace_does_not_exist(
    kubernetes: Kubernetes, cluster: KubernetesClient, name: str, phase: str, exists: bool
) -> None:
    assert not namespaces.namespace_exists(cluster, name)
    kubernetes.emulator.faults.namespaces[name] = phase
    assert namespaces.namespace_exists(cluster, name) is exists
