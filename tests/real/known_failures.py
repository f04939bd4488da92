"""Tests whose outcome is not right yet, with the reason. A test that holds again fails, until its entry is removed."""

import re

OTHER_THAN_PLAIN = "(relay|dump|custom|directory|tar)"
# Pattern of `<test>[<parameters>]` → reason
KNOWN_FAILURES = {
    r"\[parser-under.*, plain,": "a skipped table is listed without its row count",
    r"\[extension-nothing": "an extension that nothing needs fails preflight",
    r"\[(fdw-without|foreign-data)": "the extension of a foreign data wrapper fails preflight",
    r"\[c-function.*, plain,": "a refused object costs the import",
    rf"\[comments-.*, {OTHER_THAN_PLAIN},": "a comment on a schema that contains an extension is lost",
    r"whatever_its_options\[(clean|a new public)": "plain SQL: a refused DROP costs the import",
    r"whatever_its_options\[(schema and|sections)": "plain SQL: several dumps in one file are refused",
    r"violate_a_rule_arrive\[(orphans|duplicates|overlaps|a stricter check)": "a violated rule costs the import",
    r"violate_a_rule_arrive\[a stricter domain": "a value that violates its domain costs the import",
    r"fail_ends.*a stricter check-plain": "plain SQL: the key that violates a CHECK is not named",
    r"no_key_is_printed": "a violated foreign key costs the import",
    r"leave_a_key_that_is_not_valid": "foreign keys to excluded rows cost the import",
    r"by_an_enum_behind_something_arrive\[(an array|a row)": "hashes of enums inside arrays and rows are not known",
    r"without_an_encoding": "SQL_ASCII: the catalogues are read as bytes",
    r"changes_meanwhile_costs.*\[a view": "pg_dump fails for a view that is dropped between snapshot and dump",
    r"sessions_are_read_only": "a target with default_transaction_read_only costs the import",
    r"gets_its_schemas\[-t": "the schema of a partial dump is not created",
    r"says_how_to_dump": "the error for an extension that a partial dump lacks has no next step",
}


def find_known_failure(test: str) -> str | None:
    """Returns the reason why a test fails, or None."""
    return next((reason for pattern, reason in KNOWN_FAILURES.items() if re.search(pattern, test)), None)
