"""Checks the defaults of the specs, and that errors name the field."""

from typing import Any

import pytest
from pydantic import ValidationError
from tests.support.samples import an_import_spec

from pgimport.model.import_spec import ImportSpec
from pgimport.model.preview_spec import PreviewSpec
from pgimport.model.project_spec import ProjectSpec

VALID: dict[str, Any] = {
    "project": "shop",
    "source": {"urlSecretRef": {"name": "source", "key": "url"}},
    "target": {"previewDatabase": "pr-42"},
}
SERVER = {"clusterID": "eu-1", "host": "pg", "adminSecretRef": {"name": "admin"}}


def test_defaults_of_an_import_are_as_documented() -> None:
    spec = an_import_spec()
    assert (spec.max_attempts, spec.jobs, spec.recreate, spec.dry_run, spec.suspend) == (3, 4, False, False, False)
    dumped = spec.model_dump(mode="json", by_alias=True)
    assert (dumped["timeout"], dumped["startTimeout"], dumped["stallTimeout"]) == ("6h", "5m", "10m")
    assert dumped["pendingTimeout"] is None
    assert (dumped["engine"], dumped["provider"], dumped["verify"]) == ("auto", "auto", "counts")


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        pytest.param({"target": None}, (), "target.previewDatabase is required unless dryRun", id="no target"),
        pytest.param({"source": {}}, ("source",), "exactly one of urlSecretRef and uploadKey", id="no source"),
        pytest.param(
            {"source": {"urlSecretRef": {"name": "a", "key": "b"}, "uploadKey": "c"}},
            ("source",),
            "exactly one of",
            id="two sources",
        ),
        pytest.param({"maxAttempts": 11}, ("maxAttempts",), "less than or equal to 10", id="too many attempts"),
        pytest.param({"maxAttempts": 0}, ("maxAttempts",), "greater than or equal to 1", id="no attempt"),
        pytest.param({"timeout": "145h"}, (), "timeout must be more than 0s and at most 144h", id="too long"),
        pytest.param({"pendingTimeout": "0s"}, (), "pendingTimeout must be more than 0s", id="no time to wait"),
        pytest.param({"stallTimeout": "0s"}, (), "stallTimeout must be more than 0s", id="too short"),
        pytest.param({"project": "Shop"}, ("project",), "should match pattern", id="a project's name with capitals"),
        pytest.param({"sourceURL": "postgresql://"}, ("sourceURL",), "Extra inputs", id="a URL in the spec"),
        pytest.param({"verify": "trust"}, ("verify",), "Input should be 'counts'", id="an unknown verification"),
    ],
)
def test_an_invalid_import_is_refused_with_the_field(
    changes: dict[str, Any], field: tuple[str, ...], words: str
) -> None:
    body = {name: value for name, value in (VALID | changes).items() if value is not None}
    with pytest.raises(ValidationError) as caught:
        ImportSpec.model_validate(body)
    (error,) = caught.value.errors()
    assert error["loc"] == field
    assert words in error["msg"]


@pytest.mark.parametrize("ttl", ["0s", "169h"])
def test_a_ttl_out_of_range_is_refused(ttl: str) -> None:
    with pytest.raises(ValidationError, match=r"ttl must be more than 0s and at most 168h.*: for one day, write 24h"):
        PreviewSpec.model_validate({"project": "shop", "ttl": ttl})


def test_the_name_of_a_queue_fits_into_a_label() -> None:
    """Seen before: the API server accepted a longer name, and every import failed because its Job was refused."""
    project = {"organizationID": "capy", "namespace": "shop", "server": SERVER}
    assert ProjectSpec.model_validate({**project, "queueName": "nightly.imports"}).queue_name == "nightly.imports"
    for name in ("x" * 64, "Imports", "imports."):
        with pytest.raises(ValidationError, match="queueName"):
            ProjectSpec.model_validate({**project, "queueName": name})


@pytest.mark.parametrize("labels", [{"team": "a b"}, {"a b": "c"}, {"team": "x" * 64}, {"Ex/team": "a"}])
def test_the_labels_of_pods_are_labels(labels: dict[str, str]) -> None:
    """The API server would refuse each Job, and each import of the Project would fail for good."""
    project = {"organizationID": "capy", "namespace": "shop", "server": SERVER}
    for template in ({"metadata": {"labels": labels}}, {"spec": {"nodeSelector": labels}}):
        with pytest.raises(ValidationError, match="no label: write a key like team"):
            ProjectSpec.model_validate({**project, "podTemplate": template})
    with pytest.raises(ValidationError, match="no annotation: write a key like team"):
        ProjectSpec.model_validate({**project, "podTemplate": {"metadata": {"annotations": {"a b": "c"}}}})
    ProjectSpec.model_validate({**project, "podTemplate": {"metadata": {"annotations": {"Example.com/a": "b c\n"}}}})
    fine = {"team": "", "example.com/team": "A.b_c-1", "kubernetes.io/os": "linux"}
    ProjectSpec.model_validate(
        {**project, "podTemplate": {"metadata": {"labels": fine}, "spec": {"nodeSelector": fine}}}
    )


def test_a_storage_limit_may_be_bytes_or_a_quantity() -> None:
    for value, limit in ((1024, 1024), ("10Gi", 10 * 2**30)):
        body = {"organizationID": "capy", "namespace": "shop", "server": SERVER, "storageLimitBytes": value}
        assert ProjectSpec.model_validate(body).storage_limit_bytes == limit
