"""The small objects: known to Kubernetes in every field, owned, and without a secret in them."""

from typing import Any

import kubernetes_validate
import pytest
from tests.support.samples import a_meta

from pgimport.manifest.events import build_event
from pgimport.manifest.rbac import build_connection_reader, build_role_binding
from pgimport.manifest.secrets import build_connection_secret, build_job_secret

META = a_meta("x" * 253)
KUBERNETES = "1.35"
OBJECTS = [
    pytest.param(build_job_secret(META), id="the Secret of a Job"),
    pytest.param(build_connection_secret(a_meta("pr-42")), id="a connection Secret"),
    pytest.param(build_role_binding("own", "shop", "pgimport-tenant", "pgimport", "system"), id="a RoleBinding"),
    pytest.param(build_connection_reader("shop", ["b", "a"]), id="a Role for connection Secrets"),
]


@pytest.mark.parametrize("built", OBJECTS)
def test_kubernetes_knows_every_field(built: dict[str, Any]) -> None:
    kubernetes_validate.validate(built, KUBERNETES, strict=True)


def test_no_rule_is_for_all_secrets() -> None:
    """A rule without names would be one for all of them."""
    assert build_connection_reader("shop", [])["rules"] == []
    assert build_connection_reader("shop", ["b", "a"])["rules"][0]["resourceNames"] == ["a", "b"]


@pytest.mark.parametrize("build", [build_job_secret, build_connection_secret])
def test_a_secret_is_owned_and_empty(build: Any) -> None:
    built = build(META)
    assert not {"data", "stringData"} & set(built)
    assert built["metadata"]["ownerReferences"][0]["uid"] == META.uid
    assert len(built["metadata"]["name"]) <= 253


def test_an_event_names_its_object_and_fits() -> None:
    built = build_event("PostgresImport", META, "Stalled", "x" * 2000, warning=True, namespace="shop")
    assert (built["type"], built["reason"]) == ("Warning", "Stalled")
    assert len(built["note"]) <= 1024
    assert built["regarding"]["uid"] == META.uid
    assert len(built["metadata"]["generateName"]) <= 248


def test_a_good_event_is_no_warning() -> None:
    built = build_event("Project", META, "Ready", "it is ready", warning=False, namespace="pgimport")
    assert built["type"] == "Normal"
