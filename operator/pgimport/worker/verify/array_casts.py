"""Makes equal the two texts that a server prints for one array before and after a restore. Pure.

PostgreSQL stores `status IN ('a', 'b')` on a varchar column as `(ARRAY['a'::varchar, 'b'::varchar])::text[]`. When it
reads this text again, it applies the cast to each element, and from then on prints
`ARRAY[('a'::varchar)::text, ('b'::varchar)::text]`.
"""

from itertools import pairwise

from pgimport.worker.archive.sql_tokens import SqlToken, scan_tokens

_OPENING, _CLOSING = ("(", "["), (")", "]")
_CAST_ARRAY = "(ARRAY["


def move_array_casts(text: str) -> str:
    """Returns the text with each cast of an ARRAY[…] to an array type as casts of its elements."""
    while _CAST_ARRAY in text:
        tokens = list(scan_tokens(text))
        moved = next((new for begin in range(len(tokens)) if (new := _move_cast(text, tokens, begin))), None)
        if moved is None:
            break
        text = moved
    return text


def _move_cast(text: str, tokens: list[SqlToken], begin: int) -> str | None:
    """Moves the cast of the array whose parenthesis is the token `begin`. Returns None if there is no such cast."""
    if not (_is_at(tokens, begin, "(", "array", "[")):
        return None
    end = _find_end(tokens, begin + 2)
    if not _is_at(tokens, end, "]", ")", ":", ":"):
        return None
    type_begin = end + 4
    type_end = next((i for i in range(type_begin, len(tokens)) if tokens[i].is_("[", "(", ")", ",", ";")), len(tokens))
    if type_end == type_begin or not _is_at(tokens, type_end, "[", "]"):
        return None
    type_name = text[tokens[type_begin].start : tokens[type_end - 1].end]
    elements = ", ".join(f"({element})::{type_name}" for element in _split_elements(text, tokens, begin + 2, end))
    return f"{text[: tokens[begin].start]}ARRAY[{elements}]{text[tokens[type_end + 1].end :]}"


def _is_at(tokens: list[SqlToken], index: int, *words: str) -> bool:
    following = tokens[index : index + len(words)]
    return len(following) == len(words) and all(map(SqlToken.is_, following, words))


def _find_end(tokens: list[SqlToken], opening: int) -> int:
    """Returns the index of the bracket that closes the one at `opening`, or the number of tokens."""
    depth = 0
    for index in range(opening, len(tokens)):
        depth += tokens[index].is_(*_OPENING) - tokens[index].is_(*_CLOSING)
        if depth == 0:
            return index
    return len(tokens)


def _split_elements(text: str, tokens: list[SqlToken], opening: int, closing: int) -> list[str]:
    """Returns the comma-separated elements between two brackets."""
    depth, borders = 0, [opening]
    for index in range(opening + 1, closing):
        depth += tokens[index].is_(*_OPENING) - tokens[index].is_(*_CLOSING)
        if depth == 0 and tokens[index].is_(","):
            borders.append(index)
    borders.append(closing)
    return [text[tokens[begin].end : tokens[end].start].strip() for begin, end in pairwise(borders)]
