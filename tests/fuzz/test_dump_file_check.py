"""Changed and truncated dump files are accepted or refused; a parser raises no other exception."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.fuzz.dump_file_check import SEEDS, check_dump


@pytest.mark.parametrize("name", SEEDS)
def test_the_seeds_are_accepted(name: str) -> None:
    assert check_dump(SEEDS[name])


@pytest.mark.parametrize("name", SEEDS)
def test_a_truncated_seed_is_refused(name: str) -> None:
    content = SEEDS[name]
    needed = content.rstrip(b"\x00") if name.startswith("tar") else content
    if name == "plain":  # nothing is needed after pg_dump's last words
        needed = content[: content.rindex(b"complete") + len(b"complete")]
    lengths = range(len(needed)) if len(needed) < 1000 else range(0, len(needed), 7)
    accepted = [length for length in lengths if check_dump(content[:length])]
    # A redirected archive without its second table of contents is complete: pg_dump writes it into a pipe.
    assert accepted == ([len(SEEDS["custom"])] if name == "custom, redirected" else [])


@settings(max_examples=400)
@given(
    name=st.sampled_from(sorted(SEEDS)),
    position=st.integers(0, 2**16),
    removed=st.integers(0, 40),
    inserted=st.binary(max_size=40),
    repeated=st.integers(1, 2),
)
@example(name="custom", position=0, removed=0, inserted=b"", repeated=2)
@example(name="zip", position=0, removed=0, inserted=b"", repeated=2)
def test_a_changed_seed_causes_nothing_but_a_refusal(
    name: str, position: int, removed: int, inserted: bytes, repeated: int
) -> None:
    content = SEEDS[name] * repeated
    begin = position % (len(content) + 1)
    check_dump(content[:begin] + inserted + content[begin + removed :])


@settings(max_examples=200)
@given(st.binary(max_size=400))
def test_any_bytes_cause_nothing_but_a_refusal(content: bytes) -> None:
    check_dump(content)
