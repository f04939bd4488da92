"""Writes the `env` file of an instance, whose `export` lines a shell can source."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from tests.cluster.instance import Instance

# The Project that the chart makes for its embedded server.
PROJECT = "demo"


def write_environment(instance: Instance, more: Mapping[str, str] | None = None) -> None:
    """Writes our variables, and keeps the lines that others added, such as the demo."""
    ours = {
        "KUBECONFIG": shlex.quote(str(instance.kubeconfig)),
        "PATH": f'{shlex.quote(str(instance.programs))}:"$PATH"',
        "PGIMPORT_PROJECT": PROJECT,
        **{name: shlex.quote(value) for name, value in (more or {}).items()},
    }
    path = instance.environment
    lines = path.read_text().splitlines() if path.exists() else []
    others = [line for line in lines if not line.startswith(tuple(f"export {name}=" for name in ours))]
    mine = [f"export {name}={value}" for name, value in ours.items()]
    unfinished = path.with_suffix(".unfinished")
    unfinished.touch(mode=0o600)  # an API key may be in it
    unfinished.chmod(0o600)
    unfinished.write_text("\n".join([*mine, *others, ""]))
    unfinished.replace(path)
