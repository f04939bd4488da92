"""Describes the machine and the cluster that a report's figures were measured on."""

import os
import platform
import re
from pathlib import Path

from tests.e2e.postgres_pods import EMBEDDED
from tests.support import kubectl
from tests.support.markdown import Rows

import pgimport


def describe_host() -> Rows:
    """Name the processor, the memory, the kernel and the version of pgimport, a row each."""
    processor = re.search(r"(?m)^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"(?m)^MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    return [
        ("Machine", f"{os.cpu_count()} × {processor[1] if processor else platform.machine()}"),
        ("Memory", f"{int(memory[1]) / 1024**2:.1f} GiB" if memory else "?"),
        ("System", f"{platform.system()} {platform.release()}"),
        ("pgimport", pgimport.__version__),
    ]


def describe_machine() -> Rows:
    """Describe the host and the cluster of `make up` on it."""
    nodes = [node["status"]["nodeInfo"] for node in kubectl.list_objects("nodes")]
    return [
        *describe_host(),
        ("Kubernetes", ", ".join(sorted({node["kubeletVersion"] for node in nodes}))),
        ("Container runtime", ", ".join(sorted({node["containerRuntimeVersion"] for node in nodes}))),
        ("Target server", f"PostgreSQL {EMBEDDED.value('SHOW server_version')}"),
    ]
