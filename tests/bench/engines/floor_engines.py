"""The floors as engines: the rows alone, and indexes, keys and the rest of post-data alone upon them."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.bench.engines.copy_engines import COPY, Before, Engine, Route
from tests.bench.engines.copy_floor import ENV_SOURCE, ENV_TARGET
from tests.bench.engines.pipelines import Command, Pipeline
from tests.cluster.instance import REPOSITORY
from tests.support.postgres import SUPERUSER

STREAMS = 2


def _copy(_: Route) -> Sequence[Pipeline]:
    return [[[sys.executable, "-m", "tests.bench.engines.copy_floor", str(STREAMS)]]]


def _environment(route: Route) -> Mapping[str, str]:
    places = ((ENV_SOURCE, route.source, route.database), (ENV_TARGET, route.target, COPY))
    urls = {
        name: f"postgresql://{SUPERUSER}:{server.superuser_password}@{server.host}:{server.port}/{dbname}?sslmode=disable"
        for name, server, dbname in places
    }
    return {**route.environment(), **urls, "PYTHONPATH": str(REPOSITORY)}


def _archive(route: Route, section: str) -> Path:
    """Of the section; not part of what is measured."""
    archive = route.scratch / f"{section}.dump"
    words: Command = [
        route.client("pg_dump"), "--format=custom", f"--section={section}", f"--file={archive}",
        f"--dbname={route.from_source}",
    ]  # fmt: skip
    subprocess.run(words, env=route.environment(), check=True, capture_output=True)
    return archive


def _restore(route: Route, archive: Path) -> Command:
    return [
        route.client("pg_restore"), "--no-owner", f"--jobs={STREAMS}", f"--dbname={route.to_target}", archive
    ]  # fmt: skip


def _make_tables(route: Route) -> None:
    words = _restore(route, _archive(route, "pre-data"))
    subprocess.run(words, env=route.environment(), check=True, capture_output=True)


def _post_data(route: Route) -> Sequence[Pipeline]:
    return [[_restore(route, route.scratch / "post-data.dump")]]


def _keep_post_data(route: Route) -> None:
    _archive(route, "post-data")


COPY_FLOOR = Engine(
    name="copy floor", title=f"floor: rows alone, {STREAMS} streams", build=_copy, environment=_environment,
    prepare=_make_tables, lacks=None,
)  # fmt: skip
POST_DATA_FLOOR = Engine(
    name="post-data floor", title=f"floor: post-data alone, {STREAMS} jobs", build=_post_data, before=Before.KEPT,
    prepare=_keep_post_data, lacks=("large objects", "sequences"),
)  # fmt: skip
