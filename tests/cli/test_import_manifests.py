"""The objects that `import create`, `preflight` and `retry` write."""

from itertools import islice

import pytest
from tests.cli.kubernetes_objects import Json, a_failed_import, a_running_import, an_import

from pgimport.cli.arguments import build_parser
from pgimport.cli.cluster_commands.errors import CommandFailed
from pgimport.cli.cluster_commands.import_manifests import (
    build_import,
    build_retry_spec,
    build_source_secret,
    build_spec,
    check_url,
    is_owned_by,
    list_retry_names,
    parse_key,
)
from pgimport.model.import_spec import ImportSpec
from pgimport.model.names import source_secret_name

SOURCE: Json = {"urlSecretRef": {"name": "source", "key": "url"}}


def test_options_become_fields_that_the_model_accepts() -> None:
    words = "import create x --preview pr-42 --from-secret source --engine dump --jobs 8 --import-timeout 2h"
    words += " --post-import masking/mask.sql --exclude-table audit.* --exclude-table logs --verify none"
    spec = build_spec(build_parser().parse_args(words.split()), "shop", SOURCE)
    assert spec == {
        "project": "shop",
        "source": SOURCE,
        "engine": "dump",
        "verify": "none",
        "jobs": 8,
        "timeout": "2h",
        "postImport": {"sqlConfigMapRef": {"name": "masking", "key": "mask.sql"}},
        "filter": {"excludeTables": ["audit.*", "logs"]},
    }
    ImportSpec.model_validate({**spec, "target": {"previewDatabase": "pr-42"}})


def test_the_secret_of_a_source_belongs_to_the_import() -> None:
    owner = an_import(name="x" * 253)
    secret = build_source_secret(owner, {"url": "postgresql://"})
    assert is_owned_by(secret, owner)
    assert not is_owned_by(secret, an_import())
    assert len(secret["metadata"]["name"]) == len(source_secret_name("x" * 253)) == 253
    assert "namespace" not in build_import("x", {})["metadata"]


def test_a_url_is_checked_and_never_quoted() -> None:
    assert check_url("postgresql://u:secret@h/d\n", "file") == "postgresql://u:secret@h/d"
    for text in ("secret", "postgresql://u:secret@h/d\npostgresql://x", ""):
        with pytest.raises(CommandFailed) as refused:
            check_url(text, "file")
        assert "secret" not in str(refused.value)


def test_a_key_has_a_default_or_is_required() -> None:
    assert parse_key("source", "SECRET/KEY", "url") == {"name": "source", "key": "url"}
    for text in ("source", "source/", "/key", "shop/source/url"):
        with pytest.raises(CommandFailed, match="write SECRET/KEY"):
            parse_key(text, "SECRET/KEY")


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("shop", ["shop-retry", "shop-retry-2"]),
        ("pr-42", ["pr-42-retry", "pr-42-retry-2"]),
        ("shop-retry-2", ["shop-retry", "shop-retry-2"]),
    ],
)
def test_a_retry_has_a_name_of_its_own(name: str, names: list[str]) -> None:
    assert list(islice(list_retry_names(name), 2)) == names


def test_a_retry_has_the_same_spec_without_its_switches() -> None:
    body = a_failed_import("DumpFailed", "error")
    body["spec"] |= {"cancel": False, "suspend": False, "jobs": 2}
    assert build_retry_spec(body, recreate=True) == {
        "project": "shop",
        "source": SOURCE,
        "target": {"previewDatabase": "pr-42"},
        "jobs": 2,
        "recreate": True,
    }


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (a_running_import(), "has not ended"),
        (an_import("failed", "DumpCorrupt", uploadDeleted=True), "uploaded file was deleted"),
    ],
    ids=["running", "its upload is gone"],
)
def test_an_import_that_cannot_be_repeated_is_refused(body: Json, text: str) -> None:
    with pytest.raises(CommandFailed, match=text):
        build_retry_spec(body, recreate=False)
