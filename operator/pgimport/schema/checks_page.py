"""Builds the documentation page that lists every preflight check."""

from pgimport.model.preflight_checks import CHECK_MEANINGS, CheckName

_INTRODUCTION = """\
# Preflight checks

This page lists the checks that each attempt makes before it changes anything.

A report contains them in this order. For a dump file, it contains the checks that apply to a file.

| check | result |
|---|---|
"""


def build_checks_page() -> str:
    """Builds the page as Markdown."""
    return _INTRODUCTION + "".join(f"| `{name.value}` | {CHECK_MEANINGS[name]} |\n" for name in CheckName)
