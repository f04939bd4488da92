"""Checks that values of rows are hidden in errors of servers in every language, and that the rest of a text stays."""

import pytest

from pgimport.model.import_report import hide_key_values, hide_values_in_text
from pgimport.model.row_values import (
    ErrorFields,
    close_mark,
    hide_unmarked_values,
    hide_values,
    mark_message,
    mark_values,
    show_values,
)

VALUE = "ann@example.com"


def hide(**fields: str) -> ErrorFields:
    """Returns the fields as a status shows them."""
    marked = mark_values(ErrorFields(**fields))
    return ErrorFields(
        message=hide_values(marked.message),
        detail=marked.detail and hide_values(marked.detail),
        hint=marked.hint and hide_values(marked.hint),
        context=marked.context and hide_values(marked.context),
    )


@pytest.mark.parametrize(
    "message",
    [
        f'invalid input syntax for type integer: "{VALUE}"',
        f"ungültige Eingabesyntax für Typ integer: »{VALUE}«",
        f"ungültige Eingabesyntax für Typ integer: „{VALUE}“",
        f"syntaxe en entrée invalide pour le type integer : « {VALUE} »",
        f"sintassi di input non valida per il tipo integer: «{VALUE}»",
        f'integer型の入力構文が不正です: "{VALUE}"',
        f'无效的类型 integer 输入语法: "{VALUE}"',
        f"integer: “{VALUE}”",
        f"ogiltig indatasyntax för typen integer: '{VALUE}'",
        f"noto'g'ri sintaksis: {VALUE}",
        f'invalid input syntax for type integer: "a"b {VALUE}"c"',
        f'invalid input syntax for type integer: "a\n{VALUE}"',
        f'invalid input syntax for type integer: "{VALUE}',  # cut
        f'value "{VALUE}" is out of range for type integer',
        f"la valeur « {VALUE} » est en dehors des limites du type integer",
    ],
)
def test_the_value_in_a_data_exception_is_hidden(message: str) -> None:
    hidden = hide(message=message, sqlstate="22P02").message
    assert VALUE not in hidden
    assert "…" in hidden
    assert show_values(mark_message(message, "22P02")) == message


@pytest.mark.parametrize(
    ("context", "kept"),
    [
        (f'COPY t, line 7, column mail: "{VALUE}"', "COPY t, line 7, column mail: …"),
        (f'COPY t, line 7: "1 {VALUE}"', "COPY t, line 7: …"),
        (f"COPY t, Zeile 7, Spalte mail: »{VALUE}«", "COPY t, Zeile 7, Spalte mail: …"),
        (f"COPY t, ligne 7, colonne mail : « {VALUE} »", "COPY t, ligne 7, colonne mail : …"),
        (f'COPY tの行番号 7, 列 mail: "{VALUE}"', "COPY tの行番号 7, 列 mail: …"),
        (f'COPY t, line 7, column mail: "x\n{VALUE}"', "COPY t, line 7, column mail: …\n…"),
        (f'COPY t, line 7: "x:{VALUE}"', "COPY t, line 7: …"),
        (f'JSON data, line 1: {{"mail": "{VALUE}"', "…"),
        (f"unnamed portal parameter $1 = '{VALUE}'", "…"),
        (f"SQL statement \"CALL f('{VALUE}')\"", "…"),
        ("COPY t, line 7", "COPY t, line 7"),
        ('SQL function "valid" statement 1', 'SQL function "valid" statement 1'),
        (
            "PL/pgSQL function app.f(integer,text) line 3 at RETURN",
            "PL/pgSQL function app.f(integer,text) line 3 at RETURN",
        ),
        ("PL/pgSQL-Funktion app.f(integer) Zeile 3 bei RETURN", "PL/pgSQL-Funktion app.f(integer) Zeile 3 bei RETURN"),
    ],
)
def test_context_keeps_table_line_column_and_function(context: str, kept: str) -> None:
    assert hide(message="m", sqlstate="22P02", context=context).context == kept


@pytest.mark.parametrize(
    ("sqlstate", "detail", "kept"),
    [
        ("23505", f"Key (mail)=({VALUE}) already exists.", "Key (mail)=…"),
        ("23505", f"Schlüssel »(lower(mail), id)=({VALUE}, 7)« existiert bereits.", "Schlüssel »(lower(mail), id)=…"),
        ("23P01", f"Key (r)=({VALUE}) conflicts with existing key (r)=({VALUE}).", "Key (r)=…"),
        ("23514", f"Failing row contains (1, {VALUE}).", "…"),
        ("23502", f"Fehlgeschlagene Zeile enthält (1)=(x, null, {VALUE}).", "…"),
        ("22P02", f'Token "{VALUE}" is invalid.', "…"),
        ("P0001", VALUE, "…"),
        ("42501", "The user reader lacks a right.", "The user reader lacks a right."),
    ],
)
def test_detail_keeps_columns(sqlstate: str, detail: str, kept: str) -> None:
    assert hide(message="m", sqlstate=sqlstate, detail=detail).detail == kept


@pytest.mark.parametrize(
    ("fields", "hidden"),
    [
        (
            {
                "message": 'role "reader" does not exist',
                "sqlstate": "42704",
                "context": 'COPY t, line 1, column r: "x"',
            },
            'role "reader" does not exist',
        ),
        ({"message": 'relation "t" does not exist', "sqlstate": "42P01"}, 'relation "t" does not exist'),
        ({"message": 'missing data for column "b"', "sqlstate": "22P04"}, 'missing data for column "b"'),
        (
            {"message": 'invalid byte sequence for encoding "UTF8": 0xe4 0x20', "sqlstate": "22021"},
            'invalid byte sequence for encoding "UTF8": …',
        ),
        ({"message": f'parse error "{VALUE}"', "sqlstate": "XX000", "context": "COPY t, line 1"}, "parse error …"),
        ({"message": f"no {VALUE}", "sqlstate": "P0001"}, "a function of the database raised an error: …"),
        (
            {
                "message": f"no {VALUE}",
                "sqlstate": "23514",
                "context": "PL/pgSQL-Funktion f() Zeile 3 bei RAISE",
            },
            "a function of the database raised an error: …",
        ),
    ],
)
def test_a_message_keeps_names_of_objects(fields: dict[str, str], hidden: str) -> None:
    assert hide(**fields).message == hidden


def test_a_hint_of_an_extension_is_hidden_and_one_of_the_server_stays() -> None:
    of_row = {"message": "m", "context": "COPY t, line 1"}
    assert hide(sqlstate="XX000", hint=f'"POINT({VALUE}" <-- parse error', **of_row).hint == "…"
    assert hide(sqlstate="22008", hint='Perhaps you need a different "datestyle".', **of_row).hint != "…"


def test_a_text_that_was_cut_inside_a_value_stays_hidden() -> None:
    marked = mark_message(f'invalid: "{VALUE}"', "22P02")[:-4]
    assert VALUE[:5] not in hide_values(marked)
    assert hide_values(f"{close_mark(marked)}; HINT: h") == "invalid: …; HINT: h"


def test_a_server_cannot_end_a_mark() -> None:
    assert hide(message=f'invalid: "\ue001{VALUE}\ue000"', sqlstate="22P02").message == "invalid: …"


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        (
            'the target failed: invalid input: "x"; CONTEXT: COPY t, line 1, column c: "x" (SQLSTATE 22P02)',
            "the target failed: invalid input: …; CONTEXT: COPY t, line 1, column c: … (SQLSTATE 22P02)",
        ),
        (
            'no unique index "u" (SQLSTATE 23505); DETAIL: Key (a)=(x) is duplicated.; HINT: h',
            'no unique index "u" (SQLSTATE 23505); DETAIL: Key (a)=…; HINT: h',
        ),
        (
            'role "r" does not exist; CONTEXT: COPY t, line 1, column c: "x" (SQLSTATE 42704)',
            'role "r" does not exist; CONTEXT: COPY t, line 1, column c: … (SQLSTATE 42704)',
        ),
        ("NULL in a column (SQLSTATE 23502); DETAIL: Failing row contains (x).", "NULL in a column (SQLSTATE 23502)"),
        ('the source user cannot read "public"."t"', 'the source user cannot read "public"."t"'),
    ],
)
def test_a_text_of_the_report_is_hidden_for_rest(text: str, hidden: str) -> None:
    assert hide_unmarked_values(text) == hidden


# Texts that a tenant or a dump can send, and for which a pattern that is tried at each position takes minutes.
LONG_TEXTS = {
    "spaces": " " * 300_000,
    "spaces after a label": "x; DETAIL: " + " " * 300_000 + "y",
    "spaces after a byte": "0x00" + " " * 300_000,
    "line breaks": "\n" * 300_000,
    "rows that are cut": "Failing row contains (" * 15_000,
    "keys that are cut": "Key (a)=(" * 30_000,
    "functions": "x; CONTEXT: " + "PL/" * 100_000 + "'",
    "statements": "x; CONTEXT: " + "SQL" * 100_000 + '"',
    "raised": "x; CONTEXT: " + "PL/pgSQL " * 30_000,
    "labels": "x" + "; DETAIL: a" * 30_000,
    "a long detail": "x; DETAIL: " + "a" * 100_000 + "; DETAIL: b" * 20_000,
}


@pytest.mark.parametrize("text", LONG_TEXTS.values(), ids=LONG_TEXTS)
@pytest.mark.parametrize("sqlstate", [None, "22P02", "XX000"])
def test_a_long_text_takes_linear_time_and_memory(text: str, sqlstate: str | None) -> None:
    assert len(hide_values_in_text(text, sqlstate)) <= len(text) + 1000


def test_a_repeated_label_has_its_own_text() -> None:
    text = "a failed; DETAIL: first (SQLSTATE 42P01); b failed; DETAIL: second (SQLSTATE 42P01)"
    assert hide_unmarked_values(text) == text


def test_a_row_that_was_cut_is_hidden() -> None:
    assert hide_key_values("DETAIL: Failing row contains (1, secr") == "DETAIL: Failing row contains (…)"
    assert hide_key_values("DETAIL: Key (a)=(secr") == "DETAIL: Key (a)=(…)"
