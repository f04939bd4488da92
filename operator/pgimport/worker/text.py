"""Formats numbers and names for messages. Pure."""

from collections.abc import Sequence


def format_bytes(count: int) -> str:
    """Returns `1.5 GiB` for 1610612736."""
    amount, unit = float(count), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{count} bytes" if unit == "bytes" else f"{amount:.1f} {unit}"


def count_of(count: int, noun: str) -> str:
    """Returns `1 table` or `2 tables`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def some_of(names: Sequence[str], limit: int = 3, total: int | None = None) -> str:
    """Returns `a, b, c and 4 more`."""
    more = (len(names) if total is None else total) - min(len(names), limit)
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")


def shorten_line(text: str, limit: int) -> str:
    """Returns the text in one line of at most `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def quote_text(text: str) -> str:
    """Returns a string of SQL that means the same with each value of `standard_conforming_strings`."""
    prefix = "E" if "\\" in text else ""
    return prefix + "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def quote_name(*parts: str) -> str:
    """Quotes an identifier for a statement that a person will run. Always quotes, because any name may be a keyword."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)
