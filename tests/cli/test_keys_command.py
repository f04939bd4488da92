"""`pgimport keys`: its output, the Secret with the hashes, and concurrent calls."""

import json
import secrets
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.kubernetes import Kubernetes, run_kubernetes

from pgimport.cli.arguments import build_parser
from pgimport.cli.keys_command import run_keys
from pgimport.kubernetes_client.secrets_and_config_maps import ensure_entry, read_secret
from pgimport.model.api_caller import ApiScope, Caller
from pgimport.model.api_keys import API_KEYS_SECRET, build_api_key, format_entry, parse_api_keys


@pytest.fixture
def kubernetes() -> Iterator[Kubernetes]:
    with run_kubernetes() as kubernetes:
        yield kubernetes


def call(kubernetes: Kubernetes, *arguments: str) -> int:
    return run_keys(build_parser().parse_args(["keys", "--namespace", "system", *arguments]), kubernetes.connect())


def find_caller(kubernetes: Kubernetes, text: str, after: timedelta = timedelta()) -> Caller | None:
    ring = parse_api_keys(read_secret(kubernetes.connect(), "system", API_KEYS_SECRET) or {})
    return ring.find(text, datetime.now(UTC) + after)


def test_a_key_is_shown_once_listed_and_revoked(kubernetes: Kubernetes, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(kubernetes, "create", "--organization", "acme", "--name", "ci", "--expires", "30d") == 0
    text, note = (stream.strip() for stream in capsys.readouterr())
    caller = find_caller(kubernetes, text)
    assert caller is not None
    assert (caller.name, caller.organization, caller.project, caller.scopes) == (
        "ci",
        "acme",
        None,
        frozenset(ApiScope),
    )
    assert find_caller(kubernetes, text, timedelta(days=31)) is None
    assert call(kubernetes, "list") == 0
    table = capsys.readouterr().out
    assert text not in table
    key_id = text.removeprefix("capy_live_").partition("_")[0]
    assert note.endswith(f"run `pgimport keys -n system revoke {key_id}`.")
    assert table.splitlines()[1].split()[:4] == [key_id, "ci", "acme", "all"]
    assert call(kubernetes, "list", "--json") == 0
    keys = json.loads(capsys.readouterr().out)
    assert (keys[0]["id"], "hash" in keys[0]) == (key_id, False)
    assert run_keys(build_parser().parse_args(["keys", "-n", "system", "revoke", key_id]), kubernetes.connect()) == 0
    assert find_caller(kubernetes, text) is None
    assert call(kubernetes, "revoke", key_id) == 1
    assert "no key" in capsys.readouterr().err


def test_a_key_can_be_limited_to_a_project_and_a_scope(
    kubernetes: Kubernetes, capsys: pytest.CaptureFixture[str]
) -> None:
    call(kubernetes, "create", "--organization", "acme", "--project", "shop", "--scope", "jobs:read")
    caller = find_caller(kubernetes, capsys.readouterr().out.strip())
    assert caller is not None
    assert (caller.project, caller.scopes) == ("shop", frozenset({ApiScope.JOBS_READ}))


def test_a_list_marks_keys_that_have_expired(kubernetes: Kubernetes, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": API_KEYS_SECRET, "namespace": "system"}}
    born = datetime(2025, 1, 31, 12, 0, tzinfo=UTC)
    key = build_api_key(
        secrets.token_bytes(38),
        organization="acme",
        project=None,
        scopes=(ApiScope.JOBS_READ,),
        name="old",
        created_at=born,
        expires_at=born + timedelta(days=1),
    )
    ensure_entry(kubernetes.connect(), manifest, key.id, format_entry(key.entry))
    call(kubernetes, "list")
    assert capsys.readouterr().out.splitlines()[-1].endswith("2025-02-01 12:00 UTC (expired)")


def test_concurrent_calls_add_all_their_keys(kubernetes: Kubernetes, capsys: pytest.CaptureFixture[str]) -> None:
    threads = [
        threading.Thread(target=call, args=(kubernetes, "create", "--organization", f"org-{number}"))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ring = parse_api_keys(read_secret(kubernetes.connect(), "system", API_KEYS_SECRET) or {})
    assert {entry.organization for entry in ring.entries.values()} == {f"org-{number}" for number in range(8)}


def test_a_key_is_written_to_a_new_secret_only(kubernetes: Kubernetes, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert call(kubernetes, "create", "--organization", "acme", "--secret", "first") == 0
    output = capsys.readouterr().out
    entries = read_secret(kubernetes.connect(), "system", "first")
    assert entries is not None
    text = entries["key"].decode()
    assert text not in output
    assert "get secret first" in output
    assert find_caller(kubernetes, text) is not None
    assert len(read_secret(kubernetes.connect(), "system", API_KEYS_SECRET) or {}) == 1


@pytest.mark.parametrize(
    "arguments", [["create"], ["create", "--organization", "a", "--expires", "soon"], ["revoke"], []], ids=str
)
def test_wrong_arguments_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        build_parser().parse_args(["keys", *arguments])
    assert exit_.value.code == 2
    assert "usage:" in capsys.readouterr().err
