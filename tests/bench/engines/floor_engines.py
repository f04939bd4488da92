"""Defines two lower bounds as engines: copying rows alone, and creating indexes and constraints alone."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.bench.engines.copy_engines import COPY, Engine, Route, TargetState
from tests.bench.engines.copy_floor import ENV_SOURCE, ENV_TARGET
from tests.bench.engines.pipelines import Command, Pipeline
from tests.cluster.instance import REPOSITORY
from tests.support.postgres import SUPERUSER

STREAMS = 2


def _copy_rows(_: Route) -> Sequence[Pipeline]:
    return [[[sys.executable, "-m", "tests.bench.engines.copy_floor", str(STREAMS)]]]


def _environment(route: Route) -> Mapping[str, str]:
    databases = ((ENV_SOURCE, route.source, route.database), (ENV_TARGET, route.target, COPY))
    urls = {
        name: f"postgresql://{SUPERUSER}:{server.superuser_password}@{server.host}:{server.port}/{dbname}"
        "?sslmode=disable"
        for name, server, dbname in databases
    }
    return {**route.environment(), **urls, "PYTHONPATH": str(REPOSITORY)}


def _dump_section(route: Route, section: str) -> Path:
    """Dump one section of the source's definitions into an archive."""
    archive = route.scratch / f"{section}.dump"
    options = ["--format=custom", f"--section={section}", f"--file={archive}", f"--dbname={route.source_conninfo}"]
    command: Command = [route.client("pg_dump"), *options]
    subprocess.run(command, env=route.environment(), check=True, capture_output=True)
    return archive


def _restore(route: Route, archive: Path) -> Command:
    options = ["--no-owner", f"--jobs={STREAMS}", f"--dbname={route.target_conninfo}"]
    return [route.client("pg_restore"), *options, archive]


def _create_tables(route: Route) -> None:
    command = _restore(route, _dump_section(route, "pre-data"))
    subprocess.run(command, env=route.environment(), check=True, capture_output=True)


def _restore_post_data(route: Route) -> Sequence[Pipeline]:
    return [[_restore(route, route.scratch / "post-data.dump")]]


def _dump_post_data(route: Route) -> None:
    _dump_section(route, "post-data")


COPY_FLOOR = Engine(
    name="copy floor",
    title=f"floor: rows alone, {STREAMS} streams",
    build=_copy_rows,
    environment=_environment,
    prepare=_create_tables,
    not_copied=None,
)
POST_DATA_FLOOR = Engine(
    name="post-data floor",
    title=f"floor: post-data alone, {STREAMS} jobs",
    build=_restore_post_data,
    target_state=TargetState.UNCHANGED,
    prepare=_dump_post_data,
    not_copied=("large objects", "sequences"),
)
