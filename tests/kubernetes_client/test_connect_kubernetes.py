"""Reading the kubeconfig: each unusable one is one error that says what to do."""

from pathlib import Path

import pytest
from kubernetes.config import kube_config

from pgimport.kubernetes_client.api_client import connect_kubernetes
from pgimport.model.errors import KubernetesNotConfigured


@pytest.mark.parametrize(
    "content",
    [None, "", "text", "kind: [", "kind: Config", "current-context: other\ncontexts: []"],
    ids=["no file", "empty", "no mapping", "not YAML", "no context", "an unknown context"],
)
def test_an_unusable_kubeconfig_is_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    path = tmp_path / "kubeconfig"
    if content is not None:
        path.write_text(content)
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(path))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(KubernetesNotConfigured, match=r"^no usable kubeconfig: .+ Set KUBECONFIG to the file of your"):
        connect_kubernetes()
