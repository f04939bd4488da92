"""Renders the templates, with the headers that each response of the page has."""

import hashlib
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from pgimport import __version__
from pgimport.api.page.paths import PREFIX
from pgimport.model.visible_text import show_controls

# Scripts, styles and requests come from and go to the page's own origin, and nothing is inline.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src {connect};"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
STATIC_FILES = {"page.css": "text/css", "page.js": "text/javascript", "htmx.min.js": "text/javascript"}


@cache
def read_static(name: str) -> bytes:
    """Returns a file that the page loads. `name` is one of STATIC_FILES."""
    return files("pgimport.api.page").joinpath("static", name).read_bytes()


@cache
def hash_static(name: str) -> str:
    """Returns the version of such a file, which is part of its URL. So a cache never mixes files of two releases."""
    return hashlib.sha256(read_static(name)).hexdigest()[:16]


def build_static_url(name: str) -> str:
    """Returns the URL of such a file."""
    return f"{PREFIX}/static/{name}?version={hash_static(name)}"


def render(template: str, values: dict[str, Any], status: int = 200, upload_origin: str = "") -> HTMLResponse:
    """Renders a page. Its script may also send files to `upload_origin`, the origin of an upload store."""
    text = _environment().get_template(template).render(values)
    connect = f"'self' {upload_origin}".strip()
    return HTMLResponse(text, status, {**_HEADERS, "Content-Security-Policy": _POLICY.format(connect=connect)})


def redirect(path: str) -> RedirectResponse:
    """Answers a form with the page to show next."""
    return RedirectResponse(path, 303, _HEADERS)


@cache
def _environment() -> Environment:
    # Each value is escaped as HTML, and its control characters are made visible.
    environment = Environment(
        loader=PackageLoader("pgimport.api.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_show_value,
    )
    environment.filters.update(bytes=format_bytes, count_of=format_count, time=format_minute, span=format_span)
    release = "-".join(hash_static(name) for name in STATIC_FILES)
    environment.globals.update(version=__version__, static=build_static_url, release=release)
    return environment


def _show_value(value: object) -> object:
    if value is None:
        return ""
    return show_controls(value) if type(value) is str else value


def format_bytes(number: int | None) -> str:
    """Formats a number of bytes with the largest binary unit that it reaches: `1.5 GiB`."""
    if number is None:
        return ""
    value = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def format_count(number: int | None, noun: str) -> str:
    """Formats `1 row` or `75000 rows`; `an unknown number of rows` for None."""
    if number is None:
        return f"an unknown number of {noun}s"
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def format_minute(moment: datetime | None) -> str:
    """Formats a time in UTC, without seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC") if moment else ""


def format_span(seconds: float | None) -> str:
    """Formats a duration with its two largest units: `2d 3h`, `4m 5s`."""
    if seconds is None:
        return ""
    parts: list[str] = []
    rest = max(int(seconds), 0)
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        number, rest = divmod(rest, length)
        if number or parts or unit == "s":
            parts.append(f"{number}{unit}")
    return " ".join(part for part in parts[:2] if part != "0s" or len(parts) == 1)
