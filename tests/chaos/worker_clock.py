"""A worker whose node's clock is an hour off: nothing of what it says about time may be believed."""

import json
from pathlib import Path

from tests.chaos.cell_result import Cell
from tests.chaos.chaos_environment import Stage
from tests.cluster.digest import digest_of
from tests.cluster.instance import this_instance
from tests.cluster.project_images import MAJOR
from tests.cluster.provider import Build
from tests.cluster.provider_choice import choose_provider
from tests.e2e.operator_process import WORKER_IMAGES, chart_settings

SOURCES = Path(__file__).parent / "images" / "clock"
OFFSETS = ("+1h", "-1h")


def ensure_image(base: str, offset: str) -> str:
    """The worker's image with this clock, in the cluster."""
    provider = choose_provider(this_instance())
    arguments = {"BASE": base, "FAKETIME": offset}
    digest = digest_of([SOURCES], arguments.values())
    build = Build(
        f"worker-clock-{'ahead' if offset[0] == '+' else 'behind'}",
        SOURCES / "Dockerfile",
        SOURCES,
        digest,
        arguments=arguments,
    )
    if not provider.has(provider.reference(build)):
        provider.build(build)
    return provider.reference(build)


def play_clock(stage: Stage, name: str, offset: str) -> Cell:
    """An operator that starts workers of that image; a stall must be told by its own clock, not by theirs."""
    images = json.loads(chart_settings()[WORKER_IMAGES])
    wrong = images | {MAJOR: ensure_image(images[MAJOR], offset)}
    with stage.operator.restarted(**{WORKER_IMAGES: json.dumps(wrong)}):
        return stage.tell(name, f"worker's clock {offset}", "all phases", stallTimeout="2m", timeout="30m")
