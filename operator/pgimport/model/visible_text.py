"""Makes control characters of sources, dumps and servers visible, so that no terminal or log interprets them. Pure.

Names of objects, messages of servers and comments may contain any character. Output passes through this module where it
leaves the program: the console of the CLI, log lines, the worker's lines, statuses, events and reports.
"""

import json
import re
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:  # needs pydantic: too slow for a command line that only prints
    from pgimport.model.base_models import LenientModel

_ModelT = TypeVar("_ModelT", bound="LenientModel")

# C0 and DEL, C1, line and paragraph separators, and surrogates; the characters that change the direction of a text
# (https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters); and invisible tags, with which a name can
# look like another. Texts of several lines keep newlines and tabs.
_ABOVE_C0 = (
    "\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f\ud800-\udfff"
)
_OF_LINES = re.compile(rf"[\x00-\x08\x0b-\x1f{_ABOVE_C0}]")
_OF_ONE_LINE = re.compile(rf"[\x00-\x1f{_ABOVE_C0}]")
_SHORT = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def show_controls(text: str) -> str:
    """Returns the text with each control character as an escape such as `\\x1b`. Keeps newlines and tabs."""
    return _OF_LINES.sub(_show, text)


def show_controls_of_line(text: str) -> str:
    """Returns the text as one line, with each control character as an escape such as `\\x1b` or `\\n`."""
    return _OF_ONE_LINE.sub(_show, text)


def _show(match: "re.Match[str]") -> str:
    character = match[0]
    code = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def format_json(value: Any) -> str:
    """Formats JSON in one line without control characters: strings have JSON's own escapes, such as `\\u009b`."""
    return escape_json(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def escape_json(text: str) -> str:
    """Returns JSON text whose strings have escapes for control characters. Keeps newlines and tabs between them."""
    return _OF_LINES.sub(lambda match: json.dumps(match[0])[1:-1], text)


def show_controls_of_json(value: Any) -> Any:
    """Returns a JSON value in which each string has its control characters made visible."""
    if isinstance(value, str):
        return show_controls(value)
    if isinstance(value, list):
        return [show_controls_of_json(item) for item in value]
    if isinstance(value, dict):
        return {name: show_controls_of_json(item) for name, item in value.items()}
    return value


def show_controls_of_model(model: _ModelT) -> _ModelT:
    """Returns a model whose strings show control characters as escapes: the same model if there are none."""
    before = model.to_json()
    after = show_controls_of_json(before)
    return model if after == before else type(model).model_validate(after)
