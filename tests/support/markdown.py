"""Writes Markdown tables for the reports."""

Rows = list[tuple[str, ...]]  # a table; the first row is its head


def format_table(rows: Rows) -> list[str]:
    """Format a table as lines of Markdown."""
    head, *body = rows
    lines = [head, tuple("---" for _ in head), *body]
    return [f"| {' | '.join(line)} |" for line in lines]
