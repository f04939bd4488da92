"""Chooses the provider by `CLUSTER` and by what this machine has."""

from __future__ import annotations

import os
import shutil

from tests.cluster.bare.provider import Bare
from tests.cluster.commands import succeeds
from tests.cluster.current_context import CurrentContext
from tests.cluster.errors import ClusterError
from tests.cluster.instance import Instance
from tests.cluster.kind import Kind
from tests.cluster.provider import Provider

PROVIDERS: dict[str, type[Kind] | type[Bare] | type[CurrentContext]] = {
    "kind": Kind,
    "bare": Bare,
    "current": CurrentContext,
}


def _fitting() -> str:
    if succeeds(["docker", "info"]):
        return "kind"
    if os.uname().sysname == "Linux" and os.geteuid() == 0:
        return "bare"
    raise ClusterError(
        "there is no way to a cluster here: start Docker (then `kind` is used), or be root on Linux (then the "
        "programs of Kubernetes run on this host), or set CLUSTER=current for the kubeconfig's current context"
    )


def _remembered(instance: Instance) -> str | None:
    note = instance.folder / "provider"
    return note.read_text().strip() if note.exists() else None


def choose_provider(instance: Instance) -> Provider:
    """Returns the provider that the user names, else that of the existing cluster, else one that fits this machine."""
    name = os.environ.get("CLUSTER") or _remembered(instance) or _fitting()
    if name not in PROVIDERS:
        raise ClusterError(f"CLUSTER={name} is none of {', '.join(PROVIDERS)}")
    return PROVIDERS[name](instance)


def remember_choice(instance: Instance, provider: Provider) -> None:
    """Records the provider. Raises ClusterError if the folder has a cluster of another one, which `down` would miss."""
    before = _remembered(instance)
    if before not in (None, provider.name):
        raise ClusterError(f"{instance.folder} holds a cluster of CLUSTER={before}: take that down first")
    (instance.folder / "provider").write_text(provider.name)


def forget_choice(instance: Instance) -> None:
    """Removes the folder, as the last step, so that a killed `down` can be repeated."""
    shutil.rmtree(instance.folder, ignore_errors=True)
