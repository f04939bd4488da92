"""API keys: which keys are accepted, for what, and until when."""

import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime, timedelta

import pytest

from pgimport.api import key_verifier, shared_read
from pgimport.api.api_context import InvalidCredentials
from pgimport.api.key_verifier import MAX_AGE_SECONDS, OUTAGE_SECONDS, RETRY_SECONDS, ApiKeyVerifier
from pgimport.model.api_caller import ApiScope
from pgimport.model.api_keys import NewApiKey, build_api_key, format_entry, parse_api_keys
from pgimport.model.errors import KubernetesUnavailable

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def a_key(expires_at: datetime | None = None, project: str | None = None) -> NewApiKey:
    return build_api_key(
        secrets.token_bytes(38),
        organization="acme",
        project=project,
        scopes=(ApiScope.JOBS_READ,),
        name="ci",
        created_at=NOW,
        expires_at=expires_at,
    )


def test_a_key_gives_access_to_its_project() -> None:
    new_key = a_key(project="shop")
    caller = parse_api_keys({new_key.id: format_entry(new_key.entry)}).find(new_key.text, NOW)
    assert caller is not None
    assert (caller.name, caller.organization, caller.scopes) == ("ci", "acme", frozenset({ApiScope.JOBS_READ}))
    assert caller.may_access("acme", "shop")
    assert not caller.may_access("acme", "mall")
    assert not caller.may_access("rivals", "shop")


def test_the_stored_entry_does_not_contain_the_key() -> None:
    new_key = a_key()
    assert new_key.text.removeprefix(f"capy_live_{new_key.id}_") not in format_entry(new_key.entry).decode()
    assert new_key.text not in repr(new_key)
    assert len({a_key().text for _ in range(50)}) == 50


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda text: text[:-1], id="one letter short"),
        pytest.param(lambda text: text + "0", id="one letter more"),
        pytest.param(lambda text: text[:-1] + ("0" if text[-1] != "0" else "1"), id="another last letter"),
        pytest.param(lambda text: text.replace("live", "test"), id="another kind"),
        pytest.param(lambda text: text[: len("capy_live_") + 12], id="the id alone"),
        pytest.param(lambda text: text.swapcase(), id="another case"),
        pytest.param(lambda text: "capy_live_" + "0" * 12 + text[22:], id="another id"),
        pytest.param(lambda _: "", id="nothing"),
        pytest.param(lambda _: "x" * 100_000, id="very long"),
        pytest.param(lambda _: "capy_live_ä", id="not ASCII"),
    ],
)
def test_a_changed_key_is_not_accepted(change: "object") -> None:
    new_key = a_key()
    assert callable(change)
    assert parse_api_keys({new_key.id: format_entry(new_key.entry)}).find(change(new_key.text), NOW) is None


def test_an_expired_key_is_not_accepted() -> None:
    new_key = a_key(expires_at=NOW)
    ring = parse_api_keys({new_key.id: format_entry(new_key.entry)})
    assert ring.find(new_key.text, NOW - timedelta(seconds=1)) is not None
    assert ring.find(new_key.text, NOW) is None


@pytest.mark.parametrize(
    "value", [b"", b"{}", b"[]", b"\xff", b'{"hash": 1}', b'{"hash":"","organization":"a","scopes":["x"]}']
)
def test_an_invalid_entry_is_reported_and_the_others_stay_valid(value: bytes) -> None:
    new_key = a_key()
    ring = parse_api_keys({"00" * 6: value, "../x": b"{}", new_key.id: format_entry(new_key.entry)})
    assert len(ring.problems) == 2
    assert ring.find(new_key.text, NOW) is not None


class StubSecret:
    """A Secret that counts its reads and can fail or hang, and a clock that only `wait` and the test move."""

    def __init__(self, *keys: NewApiKey) -> None:
        self.entries = {key.id: format_entry(key.entry) for key in keys}
        self.count, self.time, self.is_unavailable = 0, 0.0, False
        self.answers = threading.Event()
        self.answers.set()

    def read(self) -> dict[str, bytes]:
        self.count += 1
        assert self.answers.wait(20)
        if self.is_unavailable:
            raise KubernetesUnavailable("no response")
        return dict(self.entries)

    def wait(self, seconds: float) -> None:
        self.time += seconds

    def verifier(self) -> ApiKeyVerifier:
        return ApiKeyVerifier(self.read, lambda: self.time, self.wait)


@pytest.fixture
def hanging() -> Iterator[StubSecret]:
    """A Secret whose reads hang until the test ends, if the test clears `answers`."""
    secret = StubSecret()
    yield secret
    secret.answers.set()


def is_refused(verifier: ApiKeyVerifier, text: str) -> bool:
    """Returns whether the key is invalid. Raises KubernetesUnavailable."""
    try:
        verifier.verify(text, NOW)
    except InvalidCredentials:
        return True
    return False


def test_the_secret_is_read_rarely_but_a_new_key_is_accepted_at_once() -> None:
    secret, new_key = StubSecret(), a_key()
    verifier = secret.verifier()
    for text in ("capy_live_x", "", a_key().text, a_key().text):
        assert is_refused(verifier, text)
        secret.time += 0.01
    assert secret.count == 2
    secret.entries[new_key.id] = format_entry(new_key.entry)
    assert verifier.verify(new_key.text, NOW).name == "ci"
    assert secret.count == 3
    assert secret.time == pytest.approx(2 * RETRY_SECONDS, abs=0.03)
    for _ in range(100):
        verifier.verify(new_key.text, NOW)
    assert secret.count == 3


def test_a_client_that_repeats_an_unknown_key_waits_for_no_read() -> None:
    secret, new_key = StubSecret(), a_key()
    verifier = secret.verifier()
    assert all(is_refused(verifier, new_key.text) for _ in range(100))
    assert (secret.count, secret.time) == (1, 0.0)
    secret.entries[new_key.id] = format_entry(new_key.entry)
    secret.time += MAX_AGE_SECONDS + 0.1
    assert not is_refused(verifier, new_key.text)


def test_unknown_keys_take_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_verifier, "MAX_UNKNOWN", 3)
    unknown = key_verifier.UnknownKeys()
    for number in range(5):
        unknown.add(f"key-{number}", 0.0)
    assert [unknown.has(f"key-{number}", 0.0) for number in range(5)] == [False, False, True, True, True]


def test_a_revoked_key_is_soon_not_accepted() -> None:
    new_key = a_key()
    secret = StubSecret(new_key)
    verifier = secret.verifier()
    assert verifier.verify(new_key.text, NOW).name == "ci"
    secret.entries.clear()
    secret.time += MAX_AGE_SECONDS + 0.1
    assert is_refused(verifier, new_key.text)


def test_while_the_secret_cannot_be_read_its_keys_stay_valid_for_a_minute() -> None:
    new_key = a_key()
    secret = StubSecret(new_key)
    verifier = secret.verifier()
    verifier.verify(new_key.text, NOW)
    secret.is_unavailable, secret.time = True, OUTAGE_SECONDS - 1
    assert verifier.verify(new_key.text, NOW).name == "ci"
    secret.time += 2
    with pytest.raises(KubernetesUnavailable):  # it may have been revoked
        verifier.verify(new_key.text, NOW)
    assert is_refused(verifier, "not an API key")


def test_a_known_key_does_not_wait_for_a_read_that_hangs(hanging: StubSecret, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_verifier, "PATIENCE_SECONDS", 0.05)
    known, new_key = a_key(), a_key()
    hanging.entries[known.id] = format_entry(known.entry)
    verifier = hanging.verifier()
    verifier.verify(known.text, NOW)
    hanging.answers.clear()
    hanging.time += MAX_AGE_SECONDS + 0.1
    with ThreadPoolExecutor(40) as pool:
        callers = [pool.submit(verifier.verify, known.text, NOW) for _ in range(200)]
        unknown = [pool.submit(verifier.verify, new_key.text, NOW) for _ in range(40)]
        assert {caller.result(20).name for caller in callers} == {"ci"}
        assert all(isinstance(caller.exception(20), KubernetesUnavailable) for caller in unknown)
    assert hanging.count == 2


def test_few_requests_wait_for_a_read(hanging: StubSecret, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_read, "MAX_WAITING", 3)
    monkeypatch.setattr(key_verifier, "PATIENCE_SECONDS", 20.0)
    verifier = hanging.verifier()
    hanging.answers.clear()
    with ThreadPoolExecutor(10) as pool:
        calls = [pool.submit(verifier.verify, a_key().text, NOW) for _ in range(10)]
        refused = [call for _, call in zip(range(7), as_completed(calls, 15), strict=False)]
        assert all(isinstance(call.exception(), KubernetesUnavailable) for call in refused)
        hanging.answers.set()
        assert all(isinstance(call.exception(15), InvalidCredentials) for call in set(calls) - set(refused))


def test_a_read_that_never_ends_is_replaced(hanging: StubSecret, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_verifier, "PATIENCE_SECONDS", 0.05)
    verifier, new_key = hanging.verifier(), a_key()
    hanging.answers.clear()
    with pytest.raises(KubernetesUnavailable):
        verifier.verify(new_key.text, NOW)
    monkeypatch.setattr(key_verifier, "PATIENCE_SECONDS", 20.0)
    hanging.answers = threading.Event()
    hanging.answers.set()
    hanging.entries[new_key.id] = format_entry(new_key.entry)
    hanging.time += shared_read.ABANDON_SECONDS + 1
    assert verifier.verify(new_key.text, NOW).name == "ci"


def test_a_key_that_may_be_valid_is_not_refused_while_the_secret_cannot_be_read() -> None:
    secret, new_key = StubSecret(), a_key()
    secret.is_unavailable = True
    verifier = secret.verifier()
    for _ in range(2):
        with pytest.raises(KubernetesUnavailable):
            verifier.verify(new_key.text, NOW)
    assert is_refused(verifier, "not an API key")
    secret.is_unavailable, secret.time = False, 1000.0
    secret.entries[new_key.id] = format_entry(new_key.entry)
    assert verifier.verify(new_key.text, NOW).name == "ci"
