"""Makes equal the two texts that a server prints for one array before and after a restore. Pure.

PostgreSQL stores `status IN ('a', 'b')` on a varchar column as `(ARRAY['a'::varchar, 'b'::varchar])::text[]`. When it
reads this text again, it applies the cast to each element, and from then on prints
`ARRAY[('a'::varchar)::text, ('b'::varchar)::text]`.
"""

from pgimport.worker.archive.sql_tokens import SqlToken, scan_tokens

_OPENING, _CLOSING = ("(", "["), (")", "]")
_CAST_ARRAY = "(ARRAY["
_MAX_DEPTH = 50  # arrays within arrays


def move_array_casts(text: str) -> str:
    """Returns the text with each cast of an ARRAY[…] to an array type as casts of its elements."""
    if _CAST_ARRAY not in text:
        return text
    tokens = list(scan_tokens(text))
    moved = _Rewriting(text, tokens, _find_ends(tokens)).move(0, len(tokens))
    return text[: tokens[0].start] + moved + text[tokens[-1].end :]


def _find_ends(tokens: list[SqlToken]) -> dict[int, int]:
    """Returns the index of the bracket that closes each opening one."""
    ends: dict[int, int] = {}
    opened: list[int] = []
    for index, token in enumerate(tokens):
        if token.is_(*_OPENING):
            opened.append(index)
        elif token.is_(*_CLOSING) and opened:
            ends[opened.pop()] = index
    return ends


class _Rewriting:
    """Rewrites the tokens of one text, in a single pass."""

    def __init__(self, text: str, tokens: list[SqlToken], ends: dict[int, int]) -> None:
        self._text, self._tokens, self._ends = text, tokens, ends

    def move(self, begin: int, end: int, depth: int = 0) -> str:
        """Returns the text of the tokens from `begin` up to `end` with its casts moved."""
        tokens, pieces, at, index = self._tokens, list[str](), self._tokens[begin].start, begin
        while index < end:
            cast = self._find_cast(index) if depth < _MAX_DEPTH else None
            if cast is None:
                index += 1
                continue
            closing, type_begin, type_end = cast
            type_name = self._text[tokens[type_begin].start : tokens[type_end - 1].end]
            elements = [self.move(first, last, depth + 1) for first, last in self._split(index + 3, closing)]
            pieces.append(self._text[at : tokens[index].start])
            pieces.append(f"ARRAY[{', '.join(f'({element})::{type_name}' for element in elements)}]")
            index = type_end + 2
            at = tokens[index - 1].end
        return "".join([*pieces, self._text[at : tokens[end - 1].end]])

    def _find_cast(self, begin: int) -> tuple[int, int, int] | None:
        """Returns where the array that the parenthesis `begin` contains ends, and the type of its elements."""
        tokens = self._tokens
        closing = self._ends.get(begin + 2, -1) if self._is_at(begin, "(", "array", "[") else -1
        if closing <= begin + 3 or not self._is_at(closing, "]", ")", ":", ":"):
            return None
        type_begin = type_end = closing + 4
        while type_end < len(tokens) and not tokens[type_end].is_("[", "(", ")", ",", ";"):
            type_end += 1
        return (closing, type_begin, type_end) if type_end > type_begin and self._is_at(type_end, "[", "]") else None

    def _is_at(self, index: int, *words: str) -> bool:
        following = self._tokens[index : index + len(words)]
        return len(following) == len(words) and all(map(SqlToken.is_, following, words))

    def _split(self, begin: int, end: int) -> list[tuple[int, int]]:
        """Returns the ranges of the comma-separated elements among the tokens from `begin` up to `end`."""
        ranges, first, index = list[tuple[int, int]](), begin, begin
        while index < end:
            if self._tokens[index].is_(","):
                ranges.append((first, index))
                first = index + 1
            index = self._ends.get(index, index) + 1
        return [(first, last) for first, last in [*ranges, (first, end)] if first < last]
