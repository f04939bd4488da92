"""Finds values of rows in the errors of PostgreSQL, in any language of the server. Pure.

The worker marks what can be a value of a row. The report shows it; status, events, logs, REST and metrics hide it. The
words of a text are in the server's language, so only its structure counts: quotes, the first colon of a COPY's CONTEXT
(`COPY t, line 1, column c: "value"`), and the SQLSTATE.
"""

import re
from dataclasses import dataclass, replace

HIDDEN_VALUE = "…"
# Private-use characters around a value. They are removed from what a server sends.
_START, _END = "\ue000", "\ue001"
_MARKED = re.compile(f"{_START}[^{_START}{_END}]*(?:{_END}|(?={_START})|$)")  # a cut text has no end mark
_MARKS = re.compile(f"[{_START}{_END}]")
# All patterns need linear time, because the texts come from sources, dumps and tenants: a run of white space is tried
# from its beginning only, and an atomic group is not tried again.
# A label whose whole text is hidden says nothing, so it is removed.
_EMPTY_LABEL = re.compile(
    rf"(?:[;.] *|(?<! ) *)\b(?:DETAIL|HINT|CONTEXT): *{HIDDEN_VALUE}(?:\s*/\s*{HIDDEN_VALUE})*(?=;|\s*\(|\s*$)"
)
_LABEL = re.compile(r"((?:[;,.]\s*|(?<!\s)\s*)\b(?:DETAIL|HINT|CONTEXT): )")
_SQLSTATE = re.compile(r"(?<!\s)\s*\(SQLSTATE ([0-9A-Z]{5})\)")

# An apostrophe inside a word, as in French, begins no quotation.
_OPENING = '"“”„«»‹›「『＂'
_QUOTATION = re.compile(rf"(?:[{_OPENING}]|(?<!\w)['‘‚’])(?:.*[{_OPENING}」』'’‘]|.*)", re.DOTALL)
_AFTER_COLON = re.compile(r"(?<=[:：]).*", re.DOTALL)
_BYTES = re.compile(r"0x[0-9a-fA-F]{2}(?:[ ,]*0x[0-9a-fA-F]{2})*")
_KEY = re.compile(r"\)\s*=\s*(?=\()")  # `Key (a, lower(b))=(1, x) …`
_COPY = re.compile(r"^COPY [^:：]*", re.DOTALL)
# `PL/pgSQL function app.f(integer) line 3 at RETURN` and `SQL function "f" statement 1`, in any language.
_PL_FUNCTION = re.compile(r"(?>[^'\"“”„«»:：]*?PL/)[^'\"“”„«»:：]*+")
_SQL_FUNCTION = re.compile(r"(?>[^\"“”„«»:：]*?SQL)[^\"“”„«»:：]*[\"“”„«»]\s?[\w$]+\s?[\"“”„«»][^\"“”„«»:：]*")

_DATA_EXCEPTION, _VIOLATION = "22", "23"
_RAISED = ("P0001", "P0004")  # by RAISE and ASSERT of a function
_AT_RAISE = re.compile(r"^(?>[^\n]*?PL/pgSQL)[^\n]*\bRAISE\b")
_WITH_KEY = ("23503", "23505", "23P01")  # DETAIL of other violations is the whole row
_WITHOUT_VALUES = ("22P04", "22021", "22P05")  # of class 22: the message quotes names of columns and encodings
_OF_NAMES = ("23", "42", "3F", "3D")  # classes whose message names objects, even if a row of COPY caused the error
_OF_EXTENSIONS = ("XX", "P0", "38", "39")  # classes whose HINT an extension or a function wrote


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorFields:
    """The texts of a server's error. `sqlstate` is None if it is unknown."""

    message: str
    sqlstate: str | None = None
    detail: str | None = None
    hint: str | None = None
    context: str | None = None

    @property
    def is_of_a_row(self) -> bool:
        """Whether the server was reading a row of COPY."""
        return any(line.startswith("COPY ") for line in (self.context or "").splitlines())

    @property
    def is_raised(self) -> bool:
        """Whether a function of the database wrote the message."""
        return self.sqlstate in _RAISED or _AT_RAISE.match(self.context or "") is not None


def mark_values(fields: ErrorFields) -> ErrorFields:
    """Returns the fields with marks around what can be a value of a row."""
    clean = _remove_marks(fields)
    return replace(
        clean,
        message=_mark_message(clean),
        detail=clean.detail and _mark_part("detail", clean, clean.detail),
        hint=clean.hint and _mark_part("hint", clean, clean.hint),
        context=clean.context and _mark_part("context", clean, clean.context),
    )


def _remove_marks(fields: ErrorFields) -> ErrorFields:
    return ErrorFields(
        message=show_values(fields.message),
        sqlstate=fields.sqlstate,
        detail=fields.detail and show_values(fields.detail),
        hint=fields.hint and show_values(fields.hint),
        context=fields.context and show_values(fields.context),
    )


def _mark_part(label: str, fields: ErrorFields, text: str) -> str:
    """Marks the values in a text with this label: detail, hint or context."""
    if label == "context":
        return "\n".join(_mark_context_line(line) for line in text.splitlines())
    return _mark_detail(fields, text) if label == "detail" else _mark_hint(fields, text)


def mark_message(message: str, sqlstate: str | None) -> str:
    """Marks the values in the primary message of an error."""
    return mark_values(ErrorFields(message=message, sqlstate=sqlstate)).message


def close_mark(text: str) -> str:
    """Adds the end mark to a text that was cut inside a value."""
    return text + _END if text.count(_START) > text.count(_END) else text


def show_values(text: str) -> str:
    """Removes the marks."""
    return _MARKS.sub("", text)


def hide_values(text: str) -> str:
    """Replaces the marked values."""
    return show_values(_EMPTY_LABEL.sub("", _MARKED.sub(HIDDEN_VALUE, text)))


def hide_unmarked_values(text: str, sqlstate: str | None = None) -> str:
    """Hides the values in a text without marks, such as `message; DETAIL: …; CONTEXT: … (SQLSTATE 22P02)`.

    Quoted names in front of the server's message can be hidden too.
    """
    codes = _SQLSTATE.findall(text)
    message, *rest = _LABEL.split(text)
    texts = [_split_sqlstate(part) for part in (message, *rest[1::2])]
    labels = [label.strip(" ;,.:\n").lower() for label in rest[::2]]
    first_texts = {label: part for label, (part, _) in reversed([*zip(labels, texts[1:], strict=True)])}
    fields = _remove_marks(
        ErrorFields(message=texts[0][0], sqlstate=sqlstate or (codes[-1] if codes else None), **first_texts)
    )
    parts = [_mark_message(fields), texts[0][1]]
    for separator, label, (part, tail) in zip(rest[::2], labels, texts[1:], strict=True):  # a label may be repeated
        parts += [separator, _mark_part(label, fields, show_values(part)), tail]
    return hide_values("".join(parts))


def _split_sqlstate(text: str) -> tuple[str, str]:
    """Splits a text before its last `(SQLSTATE …)`."""
    last = max((match.start() for match in _SQLSTATE.finditer(text)), default=len(text))
    return text[:last], text[last:]


def _mark(text: str) -> str:
    return f"{_START}{text}{_END}" if text else text


def _mark_all(pattern: re.Pattern[str], text: str) -> str:
    return pattern.sub(lambda match: _mark(match[0]), text)


def _mark_message(fields: ErrorFields) -> str:
    code = fields.sqlstate or ""
    if fields.is_raised:
        return f"a function of the database raised an error: {_mark(fields.message)}"
    if code in _WITHOUT_VALUES:
        return _mark_all(_BYTES, fields.message)
    if not code.startswith(_DATA_EXCEPTION) and (not fields.is_of_a_row or code.startswith(_OF_NAMES)):
        return fields.message
    has_quotation = _QUOTATION.search(fields.message) is not None
    return _mark_all(_QUOTATION if has_quotation else _AFTER_COLON, fields.message)


def _mark_detail(fields: ErrorFields, detail: str) -> str:
    code = fields.sqlstate or ""
    has_values = not code or code.startswith((_DATA_EXCEPTION, _VIOLATION)) or fields.is_raised
    if not has_values and (not fields.is_of_a_row or code.startswith(_OF_NAMES)):
        return detail
    key = _KEY.search(detail) if code in _WITH_KEY else None
    return detail[: key.end()] + _mark(detail[key.end() :]) if key is not None else _mark(detail)


def _mark_hint(fields: ErrorFields, hint: str) -> str:
    code = fields.sqlstate or ""
    return _mark(hint) if fields.is_raised or (fields.is_of_a_row and code.startswith(_OF_EXTENSIONS)) else hint


def _mark_context_line(line: str) -> str:
    """Keeps table, line and column of COPY, and names of functions. Marks all else: it can contain values of rows."""
    if match := _COPY.match(line):
        rest = line[match.end() :]
        return match[0] + (f"{rest[0]} {_mark(rest[1:].strip())}" if rest[1:].strip() else rest)
    is_function = _PL_FUNCTION.fullmatch(line) or _SQL_FUNCTION.fullmatch(line)
    return line if is_function else _mark(line)
