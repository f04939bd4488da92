"""`python -m tests.docs.dashboard_picture`: draws the dashboard's panels from recorded series of a real Prometheus.

This is a drawing of our own, and not one of Grafana. `tests.handlers.dashboard_recorder` records the series. The same
recording gives the same picture.
"""

import json
import math
import sys
from collections.abc import Iterator
from html import escape
from typing import Any

from tests.docs.blocks import ROOT

from pgimport.schema.dashboard import build_dashboard

PICTURE = ROOT / "docs/images/dashboard.svg"
RECORDING = ROOT / "tests/docs/recordings/dashboard.json"
COLUMN, LINE, GAP = 50, 22, 6  # pixels of a cell of Grafana's grid, and between panels
COLOURS = ("#3f7d3a", "#b58900", "#2a6fb0", "#c4641a", "#b03040", "#6f5aa8", "#2b8a8a", "#8a5a2b")
LEGENDS = 3  # that a panel has room for
STYLE = """text{font:11px sans-serif;fill:#57606a}
.title{font-weight:bold;fill:#1f2328}.row{font-size:14px;font-weight:bold;fill:#1f2328}
.value{font-size:30px;fill:#3f7d3a;text-anchor:middle}.unit{text-anchor:end}
.panel{fill:#fff;stroke:#d0d7de}.axis{stroke:#d8dee4}.line{fill:none;stroke-width:1.5}"""

Line = list[float | None]
Json = dict[str, Any]


def show(value: float, unit: str) -> str:
    """Returns a number with its unit, as short as Grafana does."""
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit == "s":
        return f"{value * 1000:.3g} ms" if 0 < value < 1 else f"{value:.3g} s" if value < 1000 else f"{value:.0f} s"
    factor, prefixes = (1024, ("", "Ki", "Mi", "Gi")) if unit == "bytes" else (1000, ("", "k", "M", "G"))
    index = 0
    while value >= factor and index < len(prefixes) - 1:
        value, index = value / factor, index + 1
    suffix = {"bytes": "B", "Bps": "B/s", "ops": "ops/s", "reqps": "req/s"}.get(unit, "")
    return f"{value:.3g} {prefixes[index]}{suffix}".strip()


def round_up(value: float) -> float:
    """Returns the end of an axis that shows this value: 1, 2, 4 or 6 times a power of 10."""
    if value <= 0:
        return 1
    power: float = 10 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1, 2, 4, 6, 10) if value <= factor * power * 1.0001)


def draw_text(x: float, y: float, text: str, kind: str = "legend", room: float = 10_000) -> str:
    """Draws a text, shortened to the room in pixels."""
    longest = int(room / 6)
    shown = text if len(text) <= longest else text[: longest - 1] + "…"
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{kind}">{escape(shown)}</text>'


def find_corners(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Leaves out the points inside of horizontal lines."""
    inner = range(1, len(points) - 1)
    flat = {i for i in inner if points[i - 1][1] == points[i][1] == points[i + 1][1]}
    return [point for index, point in enumerate(points) if index not in flat]


def draw_line(line: Line, top: float, box: tuple[int, int, int, int], colour: str) -> Iterator[str]:
    """Draws a series as lines with a gap where it has no value."""
    x, y, width, height = box
    parts: list[list[tuple[int, int]]] = [[]]
    for index, value in enumerate(line):
        if value is None:
            parts.append([])
        else:
            place = (round(x + width * index / (len(line) - 1)), round(y + height * (1 - value / top)))
            parts[-1].append(place)
    for part in filter(None, parts):
        points = " ".join(f"{px},{py}" for px, py in find_corners(part))
        yield f'<polyline class="line" stroke="{colour}" stroke-linecap="round" points="{points}"/>'


def draw_plot(panel: Json, lines: dict[str, Line], box: tuple[int, int, int, int]) -> Iterator[str]:
    """Draws the axes, the series and the names of the last, largest series."""
    x, y, width, height = box
    unit = panel["fieldConfig"]["defaults"]["unit"]
    left, above, below = 70, 30, 32
    inner = (x + left, y + above, width - left - 12, height - above - below)
    top = round_up(max((value for line in lines.values() for value in line if value is not None), default=0))
    for part in (0, 0.5, 1):
        level = inner[1] + inner[3] * (1 - part)
        yield f'<path class="axis" d="M{inner[0]} {level:.0f}h{inner[2]}"/>'
        yield draw_text(inner[0] - 6, level + 4, show(top * part, unit), "unit")
    names = sorted(lines, key=lambda name: (-(lines[name][-1] or 0), name))
    for index, name in enumerate(names):
        yield from draw_line(lines[name], top, inner, COLOURS[index % len(COLOURS)])
    room = (width - 24) / max(1, min(LEGENDS, len(names)))
    more = f" +{len(names) - LEGENDS}" if len(names) > LEGENDS else ""
    for index, name in enumerate(names[:LEGENDS]):
        place, base = x + 12 + index * room, y + height - 10
        yield f'<path stroke="{COLOURS[index]}" stroke-width="3" d="M{place:.0f} {base - 4}h10"/>'
        last = more if index == LEGENDS - 1 else ""
        yield draw_text(place + 14, base, name[: int(room / 6) - 4 - len(last)] + last, room=room - 14)


def draw_panel(panel: Json, lines: dict[str, Line]) -> Iterator[str]:
    place = panel["gridPos"]
    x, y = place["x"] * COLUMN + GAP, place["y"] * LINE + GAP
    width, height = place["w"] * COLUMN - GAP, place["h"] * LINE - GAP
    if panel["type"] == "row":
        yield draw_text(x, y + 15, panel["title"], "row")
        return
    yield f'<rect class="panel" x="{x}" y="{y}" width="{width}" height="{height}" rx="3"/>'
    yield draw_text(x + 10, y + 18, panel["title"], "title", width - 20)
    if panel["type"] == "stat":
        value = next(iter(lines.values()))[-1] or 0
        text = show(value, panel["fieldConfig"]["defaults"]["unit"])
        yield draw_text(x + width / 2, y + height / 2 + 18, text, "value")
    else:
        yield from draw_plot(panel, lines, (x, y, width, height))


def build_picture() -> str:
    """Returns the picture as SVG."""
    recording = json.loads(RECORDING.read_text(encoding="utf-8"))
    panels = json.loads(build_dashboard())["panels"]
    width = 24 * COLUMN + GAP
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels) * LINE + GAP
    parts = [part for panel in panels for part in draw_panel(panel, recording["panels"].get(panel["title"], {}))]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
    paper = f'<rect width="{width}" height="{height}" fill="#f6f8fa"/>'
    title = f"<title>Panels of the dashboard, {recording['seconds']} seconds of an operator's metrics</title>"
    return "\n".join([head, title, f"<style>{STYLE}</style>", paper, *parts, "</svg>"]) + "\n"


def main() -> int:
    """Draws the picture anew."""
    PICTURE.write_text(build_picture(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
