"""Checks that Secrets, roles and events are valid in Kubernetes, owned, and contain no secret."""

from dataclasses import replace
from typing import Any

import kubernetes_validate
import pytest
from tests.support.samples import a_meta

from pgimport.manifest.events import build_event
from pgimport.manifest.rbac import build_connection_reader, build_role_binding
from pgimport.manifest.secrets import build_connection_secret, build_job_secret

META = a_meta("x" * 253)
PROJECT = a_meta("shop", namespace="")
KUBERNETES = "1.35"
OBJECTS = [
    pytest.param(build_job_secret(META), id="the Secret of a Job"),
    pytest.param(build_connection_secret(a_meta("pr-42")), id="a connection Secret"),
    pytest.param(
        build_role_binding("own", "shop", PROJECT, "pgimport-tenant", ("pgimport", "system")), id="a RoleBinding"
    ),
    pytest.param(build_connection_reader("own", "shop", PROJECT, ["b", "a"]), id="a Role for connection Secrets"),
]


@pytest.mark.parametrize("manifest", OBJECTS)
def test_each_field_is_in_the_schema_of_kubernetes(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_no_role_allows_all_secrets() -> None:
    """A rule without names would allow all Secrets."""
    assert build_connection_reader("own", "shop", PROJECT, [])["rules"] == []
    assert build_connection_reader("own", "shop", PROJECT, ["b", "a"])["rules"][0]["resourceNames"] == ["a", "b"]


@pytest.mark.parametrize("build", [build_job_secret, build_connection_secret])
def test_a_secret_is_owned_and_empty(build: Any) -> None:
    manifest = build(META)
    assert not {"data", "stringData"} & set(manifest)
    assert manifest["metadata"]["ownerReferences"][0]["uid"] == META.uid
    assert len(manifest["metadata"]["name"]) <= 253


def test_an_event_names_its_object_and_has_a_short_note() -> None:
    manifest = build_event("PostgresImport", META, "Stalled", "x" * 2000, warning=True)
    assert (manifest["type"], manifest["reason"]) == ("Warning", "Stalled")
    assert len(manifest["note"]) <= 1024
    assert manifest["regarding"]["uid"] == META.uid
    assert len(manifest["metadata"]["generateName"]) <= 248


def test_the_limit_of_a_note_counts_bytes() -> None:
    """Seen before: an event with the message of a server in Russian was refused, and lost."""
    note = build_event("PostgresImport", META, "Stalled", "отказано в доступе " * 60, warning=True)["note"]
    assert 1020 < len(note.encode()) <= 1024
    assert note.startswith("отказано")


def test_the_name_of_an_event_is_valid_after_a_name_that_is_cut_at_a_dot() -> None:
    """Kubernetes adds characters to generateName, and refuses a name such as `a.-x7fp2`."""
    manifest = build_event("PostgresImport", a_meta(f"{'x' * 199}.{'y' * 50}"), "Ready", "ready", warning=False)
    assert manifest["metadata"]["generateName"] == f"{'x' * 199}-"


def test_an_event_without_warning_is_normal() -> None:
    manifest = build_event("Project", META, "Ready", "it is ready", warning=False)
    assert manifest["type"] == "Normal"


def test_an_event_is_where_the_api_server_accepts_it() -> None:
    """Elsewhere, the API server refuses an event about an object without a namespace: Projects had no events."""
    namespaced = build_event("PostgresImport", META, "Ready", "it is ready", warning=False)
    of_project = build_event("Project", replace(META, namespace=""), "Ready", "it is ready", warning=False)
    assert namespaced["metadata"]["namespace"] == META.namespace
    assert of_project["metadata"]["namespace"] == "default"
