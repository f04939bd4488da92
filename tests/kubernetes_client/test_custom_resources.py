"""Tests of the four custom resources: parsed, listed and written."""

from typing import Any

import pytest
from tests.support.kubernetes import Kubernetes, a_body

from pgimport.kubernetes_client import api_paths, custom_resources
from pgimport.kubernetes_client.api_client import KubernetesClient
from pgimport.model.errors import Conflict, Invalid
from pgimport.model.names import IMPORTS, PREVIEWS, PROJECTS
from pgimport.model.resources import ResourceKey
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


def put(cluster: KubernetesClient, plural: str, name: str, **parts: Any) -> ResourceKey:
    namespace = "" if plural == PROJECTS else "shop"
    cluster.create(api_paths.resource(plural, namespace), a_body(plural, name, namespace or None, **parts))
    return ResourceKey(plural, namespace, name)


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


ENDED = {"state": "completed", "completedAt": "2026-07-01T12:00:00Z", "cleanedUp": True}
UPLOAD = {**SPEC, "source": {"uploadKey": "shop/00/dump"}}


@pytest.mark.parametrize(
    ("parts", "removable"),
    [
        pytest.param({"status": ENDED}, True, id="completed"),
        pytest.param({"status": {**ENDED, "state": "failed"}}, True, id="failed"),
        pytest.param({"status": {**ENDED, "state": "cancelled"}}, True, id="cancelled"),
        pytest.param({"status": {**ENDED, "state": "running"}}, False, id="it has not ended"),
        pytest.param({"status": {**ENDED, "cleanedUp": False}}, False, id="it is not cleaned up"),
        pytest.param({"spec": UPLOAD, "status": ENDED}, False, id="its upload exists"),
        pytest.param({"spec": UPLOAD, "status": {**ENDED, "uploadDeleted": True}}, True, id="its upload is deleted"),
        pytest.param({"deleting": True, "status": ENDED}, False, id="it is being deleted"),
    ],
)
def test_an_ended_import_says_whether_something_still_needs_it(parts: dict[str, Any], removable: bool) -> None:
    body = a_body(IMPORTS, "first", "shop", spec=parts.get("spec", SPEC), status=parts["status"])
    body["metadata"]["uid"] = "u"
    if parts.get("deleting"):
        body["metadata"]["deletionTimestamp"] = "2026-07-01T13:00:00Z"
    owner = custom_resources.parse_import_owner(body)
    assert (owner.name, owner.project, owner.removable) == ("first", "shop", removable)
    assert (owner.ended_at is not None) == (parts["status"]["state"] != "running")


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


def test_a_status_is_replaced(cluster: KubernetesClient, name: str) -> None:
    key = put(cluster, IMPORTS, name, spec=SPEC, status={"state": "pending", "error": "an old one"})
    import_ = custom_resources.read_import(cluster, "shop", name)
    assert import_ is not None
    custom_resources.write_status(cluster, key, import_.meta, ImportStatus(state=ImportState.RUNNING))
    assert cluster.get(api_paths.of_key(key))["status"] == {
        "state": "running",
        "attemptHistory": [],
        "skippedObjects": [],
        "webhookDeliveries": [],
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


def test_what_the_api_server_does_not_compare_is_not_taken_for_different(
    kubernetes: Kubernetes, cluster: KubernetesClient, name: str
) -> None:
    body = cluster.create(api_paths.resource(IMPORTS, "shop"), a_body(IMPORTS, name))
    key, uid = ResourceKey(IMPORTS, "shop", name), body["metadata"]["uid"]
    assert custom_resources.status_matches(cluster, key, uid)
    assert not custom_resources.status_matches(cluster, key, "another")
    assert not custom_resources.status_matches(cluster, ResourceKey(IMPORTS, "shop", f"{name}-2"), uid)
    kubernetes.refuse(
        "PATCH", name, 422, message=f'PostgresImport.capydb.dev "{name}" is invalid: spec.newer: forbidden'
    )
    with pytest.raises(Invalid):
        custom_resources.status_matches(cluster, key, uid)
