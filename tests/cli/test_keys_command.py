"""`pgimport keys`: what is shown, what is kept, and that two at once both come through."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.kubernetes import Kubernetes, run_kubernetes

from pgimport.cli.arguments import build_parser
from pgimport.cli.keys_command import run_keys
from pgimport.kubernetes_client.secrets_and_config_maps import read_secret
from pgimport.model.api_caller import ApiScope, Caller
from pgimport.model.api_keys import API_KEYS_SECRET, parse_api_keys


@pytest.fixture
def kubernetes() -> Iterator[Kubernetes]:
    with run_kubernetes() as running:
        yield running


def call(kubernetes: Kubernetes, *words: str) -> int:
    return run_keys(build_parser().parse_args(["keys", "--namespace", "system", *words]), kubernetes.connect())


def find(kubernetes: Kubernetes, text: str, later: timedelta = timedelta()) -> Caller | None:
    ring = parse_api_keys(read_secret(kubernetes.connect(), "system", API_KEYS_SECRET) or {})
    return ring.find(text, datetime.now(UTC) + later)


def test_a_key_is_shown_once_listed_and_revoked(kubernetes: Kubernetes, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(kubernetes, "create", "--organization", "acme", "--name", "ci", "--expires", "30d") == 0
    text = capsys.readouterr().out.strip()
    caller = find(kubernetes, text)
    assert caller is not None
    assert (caller.name, caller.organization, caller.project, caller.scopes) == (
        "ci",
        "acme",
        None,
        frozenset(ApiScope),
    )
    assert find(kubernetes, text, timedelta(days=31)) is None
    assert call(kubernetes, "list") == 0
    table = capsys.readouterr().out
    assert text not in table
    identity = text.removeprefix("capy_live_").partition("_")[0]
    assert table.splitlines()[1].split()[:4] == [identity, "ci", "acme", "all"]
    assert call(kubernetes, "list", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert (listed[0]["id"], "hash" in listed[0]) == (identity, False)
    assert call(kubernetes, "revoke", identity) == 0
    assert find(kubernetes, text) is None
    assert call(kubernetes, "revoke", identity) == 1
    assert "no key" in capsys.readouterr().err


def test_a_key_of_one_project_and_scope(kubernetes: Kubernetes, capsys: pytest.CaptureFixture[str]) -> None:
    call(kubernetes, "create", "--organization", "acme", "--project", "shop", "--scope", "jobs:read")
    caller = find(kubernetes, capsys.readouterr().out.strip())
    assert caller is not None
    assert (caller.project, caller.scopes) == ("shop", frozenset({ApiScope.JOBS_READ}))


def test_eight_at_once_all_come_through(kubernetes: Kubernetes, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_a_first_key_goes_into_a_secret_once(kubernetes: Kubernetes, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert call(kubernetes, "create", "--organization", "acme", "--secret", "first") == 0
    shown = capsys.readouterr().out
    entries = read_secret(kubernetes.connect(), "system", "first")
    assert entries is not None
    text = entries["key"].decode()
    assert text not in shown
    assert "get secret first" in shown
    assert find(kubernetes, text) is not None
    assert len(read_secret(kubernetes.connect(), "system", API_KEYS_SECRET) or {}) == 1


@pytest.mark.parametrize(
    "words", [["create"], ["create", "--organization", "a", "--expires", "soon"], ["revoke"], []], ids=str
)
def test_wrong_words_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args(["keys", *words])
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err
