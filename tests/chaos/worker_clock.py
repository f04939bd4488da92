"""Runs workers whose clock is wrong by an hour: the operator must not rely on any time that a worker reports."""

import json
from pathlib import Path

from tests.chaos.cell_result import CellResult
from tests.chaos.chaos_environment import ChaosEnvironment
from tests.cluster.digest import digest_of
from tests.cluster.instance import this_instance
from tests.cluster.project_images import MAJOR
from tests.cluster.provider import Build
from tests.cluster.provider_choice import choose_provider
from tests.e2e.operator_process import WORKER_IMAGES, chart_settings

SOURCES = Path(__file__).parent / "images" / "clock"
OFFSETS = ("+1h", "-1h")


def ensure_image(base: str, offset: str) -> str:
    """Build the worker's image with this clock if the cluster does not have it; return its reference."""
    provider = choose_provider(this_instance())
    arguments = {"BASE": base, "FAKETIME": offset}
    digest = digest_of([SOURCES], arguments.values())
    name = f"worker-clock-{'ahead' if offset[0] == '+' else 'behind'}"
    build = Build(name, SOURCES / "Dockerfile", SOURCES, digest, arguments=arguments)
    if not provider.has(provider.reference(build)):
        provider.build(build)
    return provider.reference(build)


def play(environment: ChaosEnvironment, name: str, offset: str) -> CellResult:
    """Run an import with an operator that uses this image. It must detect a stall by its own clock."""
    images = json.loads(chart_settings()[WORKER_IMAGES])
    wrong_images = images | {MAJOR: ensure_image(images[MAJOR], offset)}
    with environment.operator.restarted(**{WORKER_IMAGES: json.dumps(wrong_images)}):
        return environment.run_import(name, f"worker's clock {offset}", "all phases", stallTimeout="2m", timeout="30m")
