"""Tests the provider `kind`, if Docker and kind are installed."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cluster.commands import find_program, run, succeeds
from tests.cluster.instance import Instance
from tests.cluster.kind import Kind


def _missing() -> str:
    if not succeeds(["docker", "info"]):
        return "`docker info` does not answer here: the kind provider needs Docker"
    missing = [name for name in ("kind", "kubectl") if find_program(name) is None]
    return f"the kind provider needs {' and '.join(missing)}" if missing else ""


@pytest.mark.thorough
@pytest.mark.slow
def test_up_twice_and_down(tmp_path: Path) -> None:
    if reason := _missing():
        pytest.skip(reason)
    instance = Instance(tmp_path)
    provider = Kind(instance)
    try:
        provider.up()
        provider.up()
        assert "Ready" in run(["kubectl", "--kubeconfig", provider.kubeconfig(), "get", "nodes"])
    finally:
        provider.down()
    assert instance.name not in run(["kind", "get", "clusters"])
