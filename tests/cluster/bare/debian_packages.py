"""Installs the Debian packages whose programs a bare cluster needs, or names those that are missing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.commands import find_program, print_progress, run
from tests.cluster.errors import ClusterError

# Debian's package → the program or file that shows it is there.
PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    "containernetworking-plugins": "cni",
    "iptables": "iptables",
    "iproute2": "ip",
    "conntrack": "conntrack",
    "ethtool": "ethtool",
    "socat": "socat",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "openssl": "openssl",
    "ipset": "ipset",  # tests/network_policy enforces a NetworkPolicy
}

NETWORK_PLUGINS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))

# invoke-rc.d asks this file before it starts a service; 101 is its "forbidden".
SERVICE_POLICY = Path("/usr/sbin/policy-rc.d")
KEPT_POLICY = Path("/usr/sbin/policy-rc.d.pgimport-kept")
NO_SERVICES = "#!/bin/sh\n# While pgimport's test cluster installs packages; removed right after.\nexit 101\n"


def network_plugins() -> Path | None:
    return next((folder for folder in NETWORK_PLUGINS if (folder / "bridge").exists()), None)


def _is_there(program: str) -> bool:
    return network_plugins() is not None if program == "cni" else find_program(program) is not None


def missing_packages() -> list[str]:
    return [package for package, program in PACKAGES.items() if not _is_there(program)]


@contextmanager
def _no_services() -> Iterator[None]:
    """Keeps the packages from starting their services, because the cluster runs the programs itself."""
    _restore_policy()
    if SERVICE_POLICY.exists():
        SERVICE_POLICY.rename(KEPT_POLICY)
    SERVICE_POLICY.write_text(NO_SERVICES)
    SERVICE_POLICY.chmod(0o755)
    try:
        yield
    finally:
        _restore_policy()


def _restore_policy() -> None:
    """Removes our policy-rc.d and restores the machine's own, also after a killed installation."""
    if SERVICE_POLICY.exists() and SERVICE_POLICY.read_text(errors="replace") == NO_SERVICES:
        SERVICE_POLICY.unlink()
    if KEPT_POLICY.exists():
        KEPT_POLICY.rename(SERVICE_POLICY)


def ensure_packages() -> None:
    missing = missing_packages()
    if not missing:
        return
    if os.geteuid() != 0 or find_program("apt-get") is None:
        raise ClusterError(
            "the bare cluster needs these packages (Debian's names), and can install them itself only as "
            f"root on Debian: {' '.join(missing)}"
        )
    print_progress(f"installing from Debian's packages: {' '.join(missing)}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    with _no_services():
        run(["dpkg", "--configure", "-a"], env=quiet)  # an installation that was interrupted blocks the next
        run(["apt-get", "update"], env=quiet)
        run(["apt-get", "install", "--yes", "--no-install-recommends", *missing], env=quiet)
    if still := missing_packages():
        raise ClusterError(f"installed, but their programs are not there: {' '.join(still)}")
