"""Describes the machine and the cluster on which something was measured, as rows of a Markdown table."""

import os
import platform
import re
from pathlib import Path

from tests.e2e.postgres import EMBEDDED
from tests.support import kubectl

import pgimport

Rows = list[tuple[str, ...]]  # a table; the first row is its head


def describe_host() -> Rows:
    """What figures depend on, without a cluster."""
    processor = re.search(r"(?m)^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"(?m)^MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    return [
        ("Machine", f"{os.cpu_count()} × {processor[1] if processor else platform.machine()}"),
        ("Memory", f"{int(memory[1]) / 1024**2:.1f} GiB" if memory else "?"),
        ("System", f"{platform.system()} {platform.release()}"),
        ("pgimport", pgimport.__version__),
    ]


def describe_machine() -> Rows:
    """The host, and the cluster of `make up` on it."""
    nodes = kubectl.list_objects("nodes")
    return [
        *describe_host(),
        ("Kubernetes", ", ".join(sorted({node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes}))),
        (
            "Container runtime",
            ", ".join(sorted({node["status"]["nodeInfo"]["containerRuntimeVersion"] for node in nodes})),
        ),
        ("Target server", f"PostgreSQL {EMBEDDED.value('SHOW server_version')}"),
    ]


def format_table(rows: Rows) -> list[str]:
    """Lines of Markdown; the first row is the head."""
    head, *body = rows
    lines = [head, tuple("---" for _ in head), *body]
    return [f"| {' | '.join(line)} |" for line in lines]
