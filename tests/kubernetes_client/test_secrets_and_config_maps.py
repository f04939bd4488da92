"""Tests of Secrets that the operator creates."""

from typing import Any

import pytest

from pgimport.kubernetes_client import secrets_and_config_maps
from pgimport.kubernetes_client.api_client import KubernetesClient
from pgimport.model.errors import Conflict, Refused


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
    secrets_and_config_maps.delete_owned_secret(cluster, "shop", name, "import-uid")
    assert secrets_and_config_maps.read_secret(cluster, "shop", name) is None


def test_the_secret_of_an_earlier_object_of_the_name_is_a_conflict(cluster: KubernetesClient, name: str) -> None:
    secrets_and_config_maps.create_secret(cluster, "shop", a_secret(name, "another-import"), {"seed": b"theirs"})
    with pytest.raises(Conflict):
        secrets_and_config_maps.create_secret(cluster, "shop", a_secret(name), {"seed": b"ours"})
    assert secrets_and_config_maps.read_secret(cluster, "shop", name) == {"seed": b"theirs"}


@pytest.mark.isolation
@pytest.mark.parametrize("owners", [[], [{"kind": "PostgresImport", "name": "other", "uid": "other-uid"}]])
def test_a_foreign_secret_with_the_name_is_refused(
    cluster: KubernetesClient, name: str, owners: list[dict[str, str]]
) -> None:
    foreign = a_secret(name)
    foreign["metadata"]["ownerReferences"] = owners
    secrets_and_config_maps.create_secret(cluster, "shop", foreign, {"seed": b"theirs"})
    with pytest.raises(Refused, match=f"Secret {name} in namespace shop exists and was not created by the operator"):
        secrets_and_config_maps.create_secret(cluster, "shop", a_secret(name), {"seed": b"ours"})
    assert secrets_and_config_maps.read_owned_secret(cluster, "shop", name, "import-uid") is None
    secrets_and_config_maps.delete_owned_secret(cluster, "shop", name, "import-uid")
    assert secrets_and_config_maps.read_secret(cluster, "shop", name) == {"seed": b"theirs"}
