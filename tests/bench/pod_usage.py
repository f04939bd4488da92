"""Reads from the control group of an import's pod how much memory and CPU time it uses."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.bare.cgroups import hierarchies
from tests.e2e.tenant import Tenant
from tests.support import kubectl

from pgimport.model.names import LABEL_IMPORT_UID

SAMPLE_SECONDS = 0.1
_MEMORY_FILES = ("memory.peak", "memory.max_usage_in_bytes")  # cgroup versions 2 and 1


@dataclass(slots=True)
class PodUsage:
    """The highest values that were read. They grow as long as the pod runs."""

    peak_bytes: int = 0
    cpu_seconds: float = 0.0
    _stopped: threading.Event = field(default_factory=threading.Event)

    def read(self, cgroup: Path) -> None:
        """Read one cgroup. A file is missing if another version has it, or if the pod is gone."""
        for name in _MEMORY_FILES:
            with suppress(OSError):
                self.peak_bytes = max(self.peak_bytes, int((cgroup / name).read_text()))
        with suppress(OSError):
            self.cpu_seconds = max(self.cpu_seconds, parse_cpu_stat((cgroup / "cpu.stat").read_text()))
        with suppress(OSError):
            self.cpu_seconds = max(self.cpu_seconds, int((cgroup / "cpuacct.usage").read_text()) / 1e9)


def parse_cpu_stat(text: str) -> float:
    """Parse the CPU seconds from cpu.stat. Version 1 has such a file without them: then return 0."""
    values = dict(line.split(maxsplit=1) for line in text.splitlines())
    return int(values.get("usage_usec", 0)) / 1e6


@contextmanager
def watch_pod(tenant: Tenant, name: str) -> Iterator[PodUsage]:
    """Sample the pod of an import while the block runs. The node must be this host, or a container on it."""
    selector = f"{LABEL_IMPORT_UID}={tenant.get(name)['metadata']['uid']}"
    usage = PodUsage()

    def sample() -> None:
        cgroups: list[Path] = []
        while not usage._stopped.wait(SAMPLE_SECONDS):
            if not cgroups:
                pods = kubectl.list_objects("pods", tenant.name, selector)
                cgroups = [cgroup for pod in pods for cgroup in _find_cgroups(pod["metadata"]["uid"])]
            for cgroup in cgroups:
                usage.read(cgroup)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield usage
    finally:
        usage._stopped.set()
        thread.join()


def _find_cgroups(pod_uid: str) -> list[Path]:
    """Find a pod's cgroups, as named by the cgroup driver `cgroupfs` or `systemd`."""
    names = (f"pod{pod_uid}", f"pod{pod_uid.replace('-', '_')}.slice")
    return [path for tree in hierarchies() for path in tree.path.rglob("*pod*") if path.name.endswith(names)]
