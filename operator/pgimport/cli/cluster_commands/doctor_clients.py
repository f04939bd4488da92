"""Decides what `pgimport doctor` reports about PostgreSQL's client programs, here and in the worker images. Pure.

Kubernetes does not tell which programs an image contains. The worker checks them in each import.
"""

import json
import re
from collections.abc import Sequence

from pgimport.cli.cluster_commands.blocks import Sign
from pgimport.cli.cluster_commands.doctor_checks import Row, component_of, read_variable
from pgimport.cli.cluster_commands.objects import Json, name_of, read, reason_of
from pgimport.model.client_versions import find_needed_version, parse_client_version
from pgimport.model.reasons import Reason

VARIABLE = "PGIMPORT_WORKER_IMAGES"


def check_worker_images(deployments: Sequence[Json], projects: Sequence[Json]) -> list[Row]:
    """Checks that the operator has a worker image for the major version of each Project's server."""
    majors = {major for item in deployments if component_of(item) == "operator" for major in _list_majors(item)}
    if not majors:
        return []
    lacking: dict[str, list[str]] = {}
    for project in projects:
        match = re.match(r"\d+", str(read(project, "status", "targetVersion") or ""))
        if match and match[0] not in majors:
            lacking.setdefault(match[0], []).append(name_of(project))
    if lacking:
        return [
            (
                Sign.FAIL,
                "worker images",
                f"there is none for PostgreSQL {major}, the server of {', '.join(names)}."
                f" Build it, and set worker.images.{major} in the chart.",
            )
            for major, names in sorted(lacking.items())
        ]
    return [(Sign.PASS, "worker images", f"for servers of PostgreSQL {', '.join(sorted(majors, key=int))}")]


def _list_majors(deployment: Json) -> list[str]:
    try:
        return [major for major in json.loads(read_variable(deployment, VARIABLE) or "{}") if major.isdecimal()]
    except ValueError:
        return []


def check_client_refusals(imports: Sequence[Json]) -> list[Row]:
    """Repeats what the worker found in its image, if the newest import that ended failed for that."""
    ended = [item for item in imports if read(item, "status", "completedAt")]
    newest = max(ended, key=lambda item: str(read(item, "status", "completedAt")), default=None)
    if newest is None or reason_of(newest) != Reason.CLIENT_TOO_OLD:
        return []
    error = str(read(newest, "status", "error") or "its client programs are too old").partition(" (hint: ")[0]
    advice = "Ask your admin to rebuild the worker image with current PostgreSQL clients."
    return [(Sign.FAIL, "worker images", f"import {name_of(newest)} failed: {error}. {advice}")]


def check_psql(output: str) -> Row:
    """Checks the psql of this machine. `output`: what it prints for --version."""
    version = parse_client_version(output)
    if version is None:
        return Sign.WARN, "psql", "it does not print its version. Install PostgreSQL's client programs."
    if needed := find_needed_version(*version):
        return Sign.WARN, "psql", f"{output} lacks security fixes: at least {needed} is needed. Update it."
    return Sign.PASS, "psql", output
