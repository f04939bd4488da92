"""Checks how fields of models are named in resources."""

import pytest

from pgimport.model.base_models import to_resource_name


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("max_attempts", "maxAttempts"),
        ("cluster_id", "clusterID"),
        ("pod_uid", "podUID"),
        ("allowed_cidrs", "allowedCIDRs"),
        ("oid", "oid"),
        ("id", "id"),
        ("shadow_oid", "shadowOID"),
        ("provider", "provider"),
        ("sha256", "sha256"),
    ],
)
def test_fields_are_named_as_kubernetes_names_them(field: str, name: str) -> None:
    assert to_resource_name(field) == name
