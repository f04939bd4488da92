"""Builds what `import report` prints. Pure."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from pgimport.cli.cluster_commands.blocks import Block, Items
from pgimport.cli.cluster_commands.import_pages import describe_difference, describe_skipped_object


def build_report_blocks(texts: Sequence[str]) -> list[Block]:
    """Builds the lists of a report from the texts of its ConfigMaps. Skips lines that are no JSON object."""
    entries: dict[str, list[Any]] = {}
    for text in texts:
        for line in text.split("\n"):
            try:
                name, value = next(iter(json.loads(line).items()))
            except (ValueError, AttributeError, StopIteration):
                continue
            entries.setdefault(name, []).append(value)
    return [
        Items(heading, [_describe(describe, value) for value in entries.get(name, [])])
        for name, heading, describe in _LISTS
    ]


def _describe(describe: Callable[[Any], str], value: Any) -> str:
    """Describes an entry; one of another version, whose shape is not ours, as JSON."""
    try:
        return describe(value)
    except (KeyError, TypeError, AttributeError):
        return json.dumps(value, ensure_ascii=False)


def _describe_skipped(item: dict[str, Any]) -> str:
    key = f"; offending key: {item['offendingKey']}" if item.get("offendingKey") else ""
    return f"{describe_skipped_object(item)}{key}"


def _describe_failure(item: dict[str, Any]) -> str:
    return f"{item['reason']}: {item['message']}"


_LISTS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("failure", "failure", _describe_failure),
    ("skipped", "skipped", _describe_skipped),
    ("difference", "differs", describe_difference),
    ("notCompared", "not compared", str),
    ("note", "note", str),
    ("compared", "compared", lambda item: f"{item['count']} × {item['kind']}"),
    ("check", "checks", lambda item: f"{item['status']} {item['name']}: {item['detail']}"),
    ("omitted", "left out because the report is too large", lambda count: f"{count} lines"),
)
