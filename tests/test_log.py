"""Checks that each log line is one JSON object without a secret."""

import json
import logging
import sys

import pytest

from pgimport.log import JsonLine, redact

SECRET = "s3cr3t"
TEXTS = [
    pytest.param(f"postgresql://ada:{SECRET}@db.example/shop", "postgresql://ada:***@db.example/shop", id="a URL"),
    pytest.param(f"postgres://ada:{SECRET}@h and more", "postgres://ada:***@h and more", id="a URL within a sentence"),
    pytest.param(f"postgresql://ada:p@{SECRET}@h/shop", "postgresql://ada:***@h/shop", id="an @ that nobody escaped"),
    pytest.param(f"postgresql://ada:{SECRET}/x@h/shop", "postgresql://ada:***@h/shop", id="a slash nobody escaped"),
    pytest.param(f"host=h password={SECRET} dbname=d", "host=h password=*** dbname=d", id="a connection string"),
    pytest.param(f"password = '{SECRET} {SECRET}' x", "password = *** x", id="a quoted one with a space"),
    pytest.param(rf"password='it\'s {SECRET}' x", "password=*** x", id="a quoted one with a quote"),
    pytest.param(f"PGPASSWORD={SECRET} psql", "PGPASSWORD=*** psql", id="a variable"),
    pytest.param(f'{{"password": "{SECRET}", "a": 1}}', '{"password": ***, "a": 1}', id="JSON"),
    pytest.param(f"{{'password': '{SECRET}'}}", "{'password': ***}", id="a dict in a traceback"),
    pytest.param(f"ALTER ROLE x PASSWORD '{SECRET}'", "ALTER ROLE x PASSWORD ***", id="SQL"),
    pytest.param(f"SCRAM-SHA-256$4096:{SECRET}$a+b/c=:d= is stored", "SCRAM-SHA-256$*** is stored", id="a verifier"),
]


@pytest.mark.parametrize(("text", "shown"), TEXTS)
def test_a_secret_is_redacted(text: str, shown: str) -> None:
    assert redact(text) == shown
    assert SECRET not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        'FATAL:  password authentication failed for user "ada"',
        "fe_sendauth: no password supplied",
        "postgresql://ada@db.example/shop?sslmode=require",
        "https://example.com/a@b",
    ],
)
def test_other_text_is_kept(text: str) -> None:
    assert redact(text) == text


def test_redacting_twice_changes_nothing() -> None:
    text = "postgresql://ada:x@h password='y' SCRAM-SHA-256$z"
    assert redact(redact(text)) == redact(text)


def test_a_log_line_is_one_json_object_with_a_redacted_traceback() -> None:
    try:
        raise ValueError(f"postgresql://ada:{SECRET}@h")
    except ValueError:
        record = logging.LogRecord(
            "pgimport", logging.ERROR, __file__, 1, "two\nlines: password=%s", (SECRET,), sys.exc_info()
        )
    text = JsonLine().format(record)
    line = json.loads(text)
    assert "\n" not in text
    assert SECRET not in text
    assert (line["level"], line["logger"], line["message"]) == ("error", "pgimport", "two\nlines: password=***")
    assert "ValueError: postgresql://ada:***@h" in line["traceback"]
