"""Tests which provider is chosen, and the errors if none can be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.cluster import provider_choice
from tests.cluster.current_context import CurrentContext
from tests.cluster.env_file import write_environment
from tests.cluster.errors import ClusterError
from tests.cluster.instance import LONGEST_FOLDER, Instance
from tests.cluster.provider_choice import choose_provider, remember_choice


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Instance:
    monkeypatch.delenv("CLUSTER", raising=False)
    return Instance(tmp_path)


@pytest.mark.parametrize(
    ("docker", "user", "chosen"),
    [(True, 0, "kind"), (True, 1000, "kind"), (False, 0, "bare")],
    ids=["Docker answers root", "Docker answers a user", "root without Docker"],
)
def test_the_machine_decides(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, docker: bool, user: int, chosen: str
) -> None:
    monkeypatch.setattr(provider_choice, "succeeds", lambda _: docker)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert choose_provider(instance).name == chosen


def test_a_user_without_docker_is_told_what_is_missing(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_choice, "succeeds", lambda _: False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ClusterError, match=r"start Docker .* root on Linux .* CLUSTER=current"):
        choose_provider(instance)


def test_an_unknown_name_is_refused_with_the_known_ones(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTER", "minikube")
    with pytest.raises(ClusterError, match="CLUSTER=minikube is none of kind, bare, current"):
        choose_provider(instance)


def test_down_takes_the_provider_that_made_the_cluster(instance: Instance) -> None:
    remember_choice(instance, CurrentContext(instance))
    assert choose_provider(instance).name == "current"


def test_a_folder_never_holds_two_clusters(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    remember_choice(instance, CurrentContext(instance))
    monkeypatch.setenv("CLUSTER", "bare")
    with pytest.raises(ClusterError, match="take that down first"):
        remember_choice(instance, choose_provider(instance))


def test_the_environment_keeps_what_others_added(instance: Instance) -> None:
    instance.environment.write_text("export PATH=old\nexport DEMO_SOURCE_URL=kept\n")
    write_environment(instance)
    write_environment(instance)
    lines = instance.environment.read_text().splitlines()
    names = [line.removeprefix("export ").partition("=")[0] for line in lines]
    assert sorted(names) == ["DEMO_SOURCE_URL", "KUBECONFIG", "PATH", "PGIMPORT_PROJECT"]


def test_every_socket_fits_below_the_longest_folder() -> None:
    """A Unix socket address holds 107 bytes and a zero; this is the kubelet's longest one."""
    assert LONGEST_FOLDER + len("/kubelet/pod-resources/kubelet.sock") <= 107
