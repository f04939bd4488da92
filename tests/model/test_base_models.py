"""Checks the field names of resources."""

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
def test_field_names_follow_the_conventions_of_kubernetes(field: str, name: str) -> None:
    assert to_resource_name(field) == name
