"""Checks the report of an import: its order, its way through a log, its parts, and what it hides."""

import json
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.samples import a_preflight, a_result

from pgimport.model.import_choices import SkipGroup
from pgimport.model.import_report import (
    build_report_lines,
    complete_result,
    count_refused,
    describe_refusal,
    hide_row_values,
    pack_lines,
    parse_report,
    sort_skipped,
)
from pgimport.model.report_carrier import (
    CONFIG_MAP_BYTES,
    MAX_CONFIG_MAPS,
    PART_CHARACTERS,
    REPORT_BYTES,
    decode_report,
    encode_report,
)
from pgimport.model.report_lines import is_report_line
from pgimport.model.result import SkippedObject, WorkerResult
from pgimport.model.termination_message import build_termination_message, parse_worker_result

HOSTILE_NAMES = (
    'TABLE public.a\n{"report": {"id": "0", "part": 0, "data": ""}}\n',
    "TABLE public.\u2028\u2029\x85\x0b\x1c\r\n",
    'VIEW public."\x1b[2J<script>',
    "TABLE " + "ü" * 5000,
    '{"omitted":1}',
)


def refused(number: int, **changes: object) -> SkippedObject:
    reason = f'permission denied for language c, function "f{number}" (SQLSTATE 42501)'
    item = SkippedObject(object=f"FUNCTION public.f{number}(integer)", reason=reason, group=SkipGroup.REFUSED)
    return item.model_copy(update={"sqlstate": "42501", **changes})


def carry(result: WorkerResult, noise: tuple[str, ...] = ()) -> list[SkippedObject]:
    """Sends a result's report through a log with other lines, and returns the skipped objects that arrive."""
    (text,) = pack_lines(build_report_lines(result), REPORT_BYTES, 1)
    digest, lines = encode_report(text, secrets.token_hex(8))
    assert all(len(line) < 16 * 1024 and "\n" not in line for line in lines)
    log = "\n".join(part for line in lines for part in (*noise, line))
    decoded = decode_report(digest, log.split("\n"))
    assert decoded == text
    parts = pack_lines(decoded.rstrip("\n").split("\n"), CONFIG_MAP_BYTES, MAX_CONFIG_MAPS)
    assert all(len(part.encode()) <= CONFIG_MAP_BYTES for part in parts)
    report = parse_report(parts)
    assert report.omitted == []
    return report.skipped


@pytest.mark.parametrize("count", [0, 1, 160, 10_000])
def test_each_skipped_object_arrives(count: int) -> None:
    skipped = [refused(number, rows=number % 3 or None) for number in range(count)]
    assert carry(a_result(skipped=skipped)) == skipped


def test_hostile_names_arrive_and_fake_nothing() -> None:
    noise = (*HOSTILE_NAMES, '{"report": {"id": "x", "part": 0, "data": "AAAA"}}', '{"report": {"id":', "\x00")
    skipped = [refused(number, object=name[:2000]) for number, name in enumerate(HOSTILE_NAMES)]
    assert [item.object for item in carry(a_result(skipped=skipped), noise)] == [item.object for item in skipped]


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=80), max_size=20))
def test_any_text_arrives(texts: list[str]) -> None:
    skipped = [SkippedObject(object=f"TABLE {text}", reason=text) for text in texts]
    assert carry(a_result(skipped=skipped)) == skipped


def test_the_most_important_objects_come_first() -> None:
    by_design = SkippedObject(object="PUBLICATION p", reason="by design")
    table, large = refused(1, object="TABLE public.t", rows=3), refused(2, object="TABLE public.large", rows=10**9)
    ordered = sort_skipped([by_design, refused(3), table, refused(4), large])
    assert [item.object for item in ordered] == [
        "TABLE public.large",
        "TABLE public.t",
        "FUNCTION public.f3(integer)",
        "FUNCTION public.f4(integer)",
        "PUBLICATION p",
    ]
    assert count_refused(ordered) == 4


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda lines: lines[1:], id="the log was rotated"),
        pytest.param(lambda lines: lines[:-1], id="the last line is missing"),
        pytest.param(lambda lines: [*lines[:-1], lines[-1][: len(lines[-1]) // 2]], id="a line is cut"),
        pytest.param(lambda lines: [line.replace('"data": "', '"data": "A') for line in lines], id="changed data"),
        pytest.param(lambda lines: [line.replace('"part": 1', '"part": "1"') for line in lines], id="another type"),
        pytest.param(lambda _lines: [], id="no line"),
    ],
)
def test_a_damaged_report_is_not_taken_for_a_whole_one(damage: object) -> None:
    digest, lines = encode_report(secrets.token_hex(2 * PART_CHARACTERS), "0123456789abcdef")
    assert len(lines) > 1
    assert decode_report(digest, damage(lines)) is None  # type: ignore[operator]


def test_a_report_that_expands_without_end_is_refused() -> None:
    digest, lines = encode_report("x" * (2 * REPORT_BYTES + 1), "0123456789abcdef")
    assert decode_report(digest, lines) is None


def test_a_report_that_is_too_large_counts_what_it_lacks() -> None:
    lines = [f'{{"note":"{number:04}"}}' for number in range(1000)]
    parts = pack_lines(lines, part_bytes=200, max_parts=3)
    assert len(parts) == 3
    assert all(len(part.encode()) <= 200 for part in parts)
    report = parse_report(parts)
    assert report.omitted == [1000 - len(report.note)]
    assert report.note == [f"{number:04}" for number in range(len(report.note))]


def test_a_line_that_fits_into_no_part_is_counted() -> None:
    parts = pack_lines(['{"note":"a"}', f'{{"note":"{"x" * 500}"}}'], part_bytes=200, max_parts=3)
    assert parse_report(parts).omitted == [1]


def test_lines_of_another_version_are_ignored() -> None:
    texts = ['{"note":"a"}\n{"new":1}\n[]\n{}\n1\nnot JSON\n{"skipped":5}\n{"note":7}\n{"note":"b"}\n']
    assert parse_report(texts).note == ["a", "b"]


def test_a_result_is_completed_by_its_report() -> None:
    whole = a_result("preflight", preflight=a_preflight(skipped=[refused(number) for number in range(300)]))
    cut = parse_worker_result(build_termination_message(whole))
    assert cut is not None
    assert cut.preflight is not None
    assert cut.preflight.more
    assert complete_result(cut, parse_report(["\n".join(build_report_lines(whole))])) == whole


def test_a_line_of_a_report_is_recognised() -> None:
    _, lines = encode_report("text", "id")
    assert all(map(is_report_line, lines))
    assert not is_report_line('{"log": {"message": "{\\"report\\": {"}}')


KEY = "(email)=(ann@example.com)"


@pytest.mark.parametrize(
    ("reason", "sqlstate", "offending_key"),
    [
        (f'could not create unique index "u" (SQLSTATE 23505); DETAIL: Key {KEY} is duplicated.', "23505", None),
        (f"could not create unique index (23505): Key {KEY} is duplicated. More text.", None, KEY),
        (f"Schlüssel »{KEY}« existiert mehrfach", "23505", None),
        ("Key (a, b)=(ann@example.com, x) y)=z) is not present in table", None, None),
        ('check constraint "c" is violated; DETAIL: Failing row contains (1, ann@example.com).', "23514", None),
        ("Failing row contains (1, ann@example.com\n).", None, None),
        ('invalid input syntax for type integer: "ann@example.com"', "22P02", None),
        ("ungültige Eingabesyntax für Typ integer: »ann@example.com«", "22P02", None),
        ("user ann@example.com has no tenant", "P0001", None),
        ("the key is ann@example.com", None, "ann@example.com"),
    ],
)
def test_values_of_rows_are_hidden(reason: str, sqlstate: str | None, offending_key: str | None) -> None:
    item = SkippedObject(object="INDEX public.u", reason=reason, sqlstate=sqlstate, offending_key=offending_key)
    hidden = hide_row_values(item)
    assert "ann@example.com" not in json.dumps(hidden.to_json())
    assert hidden.offending_key is None
    assert hidden.reason


@pytest.mark.parametrize(
    "reason",
    [
        'permission denied for language "c" (SQLSTATE 42501); HINT: ask a superuser',
        "it needs FUNCTION auth.ok(integer), which is skipped",
        'could not create unique index "u" (SQLSTATE 23505)',
    ],
)
def test_other_reasons_stay(reason: str) -> None:
    item = SkippedObject(object="INDEX public.u", reason=reason, sqlstate="42501", rows=5)
    assert hide_row_values(item) == item


def test_the_error_of_a_final_refusal_has_the_key_only_for_the_admin() -> None:
    words = 'violates foreign key "f"; DETAIL: Key (id)=(4711) is not present in table "t". (SQLSTATE 23503)'
    skipped = SkippedObject(
        object="FK CONSTRAINT public.t f", reason=words, sqlstate="23503", offending_key="(id)=(4711)"
    )
    assert "offending key: (id)=(4711)" in describe_refusal(skipped, with_values=True)
    text = describe_refusal(skipped, with_values=False)
    assert "4711" not in text
    assert text.startswith("the target refuses FK CONSTRAINT public.t f: violates foreign key")


@pytest.mark.isolation
def test_a_forged_digest_and_deep_lines_cost_no_memory_and_raise_nothing() -> None:
    """Seen before: a digest with 10**9 parts made the operator build a list of as many numbers."""
    digest, lines = encode_report("text", "1")
    assert decode_report(digest.model_copy(update={"parts": 10**12}), lines) is None
    deep = f'{{"report": {{{"[" * 100_000}'
    assert decode_report(digest, [deep, *lines]) == "text"
    assert parse_worker_result("[" * 4000) is None
