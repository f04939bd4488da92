"""`python -m tests.handlers.dashboard_recorder`: records the series of the dashboard's panels from a real Prometheus.

`python -m tests.docs.dashboard_picture` draws them.
"""

import json
import re
import sys
import tempfile
import time
from pathlib import Path

import httpx
from tests.handlers.monitored_operator import PANELS, Scene, report_phase, run_scene
from tests.support.kubernetes import Json
from tests.support.postgres import run_postgres

from pgimport.model.status import ImportPhase

RECORDING = Path(__file__).parents[1] / "docs/recordings/dashboard.json"
POINTS = 60


def record(scene: Scene, start: float, end: float) -> Json:
    """Returns the values of each panel by title and legend. A value is None while there is none."""
    step = (end - start) / (POINTS - 1)
    panels: Json = {}
    for panel in PANELS:
        lines = panels.setdefault(panel["title"], {})
        for target in panel["targets"]:
            for series in scene.prometheus.query(target["expr"], start=start, end=end, step=step):
                values: list[float | None] = [None] * POINTS
                for at, value in series["values"]:
                    values[round((at - start) / step)] = float(f"{float(value):.4g}")
                lines[build_legend(target["legendFormat"], series["metric"])] = values
    return {"seconds": round(end - start), "panels": panels}


def build_legend(template: str, labels: dict[str, str]) -> str:
    return "" if template == "__auto" else re.sub(r"{{(\w+)}}", lambda match: labels.get(match[1], ""), template)


def copy_rows(scene: Scene) -> None:
    """Lets the running import advance for a minute and more, while somebody uses the API."""
    for percent in range(1, 86, 4):
        report_phase(scene.tenant, "busy", scene.pod, ImportPhase.DATA, percent)
        httpx.get(f"http://127.0.0.1:{scene.api_port}/v1/openapi.json")
        time.sleep(3)  # the picture shows this time


def main() -> int:
    """Records all panels anew."""
    with (
        tempfile.TemporaryDirectory(prefix="pgimport-dashboard-") as folder,
        run_postgres(16) as postgres,
    ):
        start = time.time()
        with run_scene(postgres, Path(folder)) as scene:
            copy_rows(scene)
            recorded = record(scene, start, time.time())
    RECORDING.write_text(json.dumps(recorded, separators=(",", ":")).replace('},"', '},\n"') + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
