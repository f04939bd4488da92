"""Formats numbers and names for messages. Pure."""

from collections.abc import Sequence


def format_bytes(count: int) -> str:
    """1610612736 → `1.5 GiB`."""
    amount, unit = float(count), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{count} bytes" if unit == "bytes" else f"{amount:.1f} {unit}"


def count_of(count: int, noun: str) -> str:
    """`1 table`, `2 tables`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def some_of(names: Sequence[str], limit: int = 3, total: int | None = None) -> str:
    """`a, b, c and 4 more`."""
    more = (len(names) if total is None else total) - min(len(names), limit)
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")


def quote_name(*parts: str) -> str:
    """An identifier for a statement that a person will run: always quoted, for any word may be SQL's own."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)
