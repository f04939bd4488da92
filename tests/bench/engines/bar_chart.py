"""Draws medians and their spread as a horizontal bar chart in SVG. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LEFT, RIGHT = 760, 300, 70
ROW, BAR, TOP = 30, 18, 40
PGIMPORT_COLOR, OTHER_COLOR, FLOOR_COLOR = "#1f6feb", "#8c959f", "#d0d7de"


@dataclass(frozen=True, slots=True)
class Bar:
    """The seconds of one engine."""

    label: str
    median: float
    low: float
    high: float
    color: str = OTHER_COLOR


def build_bars(title: str, unit: str, bars: Sequence[Bar]) -> str:
    """Draw a bar from zero to each median. A line on it shows the smallest and the largest value."""
    highest = max(bar.high for bar in bars)
    height = TOP + ROW * len(bars) + 12
    scale = (WIDTH - LEFT - RIGHT) / highest
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
        ' font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="24" font-size="15" font-weight="bold">{escape(title)}, {escape(unit)}</text>',
    ]
    for index, bar in enumerate(bars):
        lines += _build_bar(bar, TOP + ROW * index, scale)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _build_bar(bar: Bar, top: int, scale: float) -> list[str]:
    middle = top + BAR / 2
    low, high, end = (LEFT + scale * value for value in (bar.low, bar.high, bar.median))
    return [
        f'<text x="{LEFT - 10}" y="{middle + 5:g}" text-anchor="end">{escape(bar.label)}</text>',
        f'<rect x="{LEFT}" y="{top}" width="{end - LEFT:.1f}" height="{BAR}" fill="{bar.color}"/>',
        f'<path d="M{low:.1f} {middle:g}H{high:.1f}" stroke="#24292f" stroke-width="1.5"/>',
        f'<text x="{max(end, high) + 8:.1f}" y="{middle + 5:g}">{bar.median:.1f}</text>',
    ]
