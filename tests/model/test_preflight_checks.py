"""Checks the registry of preflight checks against the names that clients of the HTTP API know."""

from pgimport.model.preflight_checks import CHECK_MEANINGS, CheckName

# A name must not change: users read it in resources and in the HTTP API.
PUBLISHED_NAMES = {
    "source_reachable",
    "source_not_pooled",
    "source_version_compatible",
    "source_size_within_plan",
    "source_privileges",
    "row_level_security",
    "encoding_and_collation",
    "large_objects",
    "unsupported_objects",
    "extensions_available_on_target",
}


def test_no_published_name_is_missing() -> None:
    assert set(CheckName) >= PUBLISHED_NAMES


def test_each_check_is_described_in_full_sentences() -> None:
    assert set(CHECK_MEANINGS) == set(CheckName)
    assert [name for name, text in CHECK_MEANINGS.items() if not (text[0].isupper() and text.endswith("."))] == []
