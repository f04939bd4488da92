"""API keys: which text opens what, and when."""

import secrets
from datetime import UTC, datetime, timedelta

import pytest

from pgimport.api.api_context import InvalidCredentials
from pgimport.api.key_verifier import MAX_AGE_SECONDS, RETRY_SECONDS, ApiKeyVerifier
from pgimport.model.api_caller import ApiScope
from pgimport.model.api_keys import NewApiKey, build_api_key, format_entry, parse_api_keys
from pgimport.model.errors import KubernetesUnavailable

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def a_key(expires_at: datetime | None = None, project: str | None = None) -> NewApiKey:
    return build_api_key(
        secrets.token_bytes(38), organization="acme", project=project, scopes=(ApiScope.JOBS_READ,), name="ci",
        created_at=NOW, expires_at=expires_at,
    )  # fmt: skip


def test_a_key_opens_what_it_was_made_for() -> None:
    made = a_key(project="shop")
    caller = parse_api_keys({made.id: format_entry(made.entry)}).find(made.text, NOW)
    assert caller is not None
    assert (caller.name, caller.organization, caller.scopes) == ("ci", "acme", frozenset({ApiScope.JOBS_READ}))
    assert caller.sees("acme", "shop")
    assert not caller.sees("acme", "mall")
    assert not caller.sees("rivals", "shop")


def test_what_is_kept_does_not_hold_the_key() -> None:
    made = a_key()
    assert made.text.removeprefix(f"capy_live_{made.id}_") not in format_entry(made.entry).decode()
    assert made.text not in repr(made)
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
)  # fmt: skip
def test_another_text_opens_nothing(change: "object") -> None:
    made = a_key()
    assert callable(change)
    assert parse_api_keys({made.id: format_entry(made.entry)}).find(change(made.text), NOW) is None


def test_an_expired_key_opens_nothing() -> None:
    made = a_key(expires_at=NOW)
    ring = parse_api_keys({made.id: format_entry(made.entry)})
    assert ring.find(made.text, NOW - timedelta(seconds=1)) is not None
    assert ring.find(made.text, NOW) is None


@pytest.mark.parametrize(
    "value", [b"", b"{}", b"[]", b"\xff", b'{"hash": 1}', b'{"hash":"","organization":"a","scopes":["x"]}']
)
def test_a_broken_entry_is_named_and_harms_no_other(value: bytes) -> None:
    made = a_key()
    ring = parse_api_keys({"00" * 6: value, "../x": b"{}", made.id: format_entry(made.entry)})
    assert len(ring.problems) == 2
    assert ring.find(made.text, NOW) is not None


class Reading:
    """A Secret whose readings are counted, and a clock that only waiting moves."""

    def __init__(self) -> None:
        self.entries: dict[str, bytes] = {}
        self.count, self.time, self.away = 0, 0.0, False

    def read(self) -> dict[str, bytes]:
        self.count += 1
        if self.away:
            raise KubernetesUnavailable("no answer")
        return dict(self.entries)

    def wait(self, seconds: float) -> None:
        self.time += seconds

    def verifier(self) -> ApiKeyVerifier:
        return ApiKeyVerifier(self.read, lambda: self.time, self.wait)


def test_the_door_reads_seldom_and_knows_a_new_key_at_once() -> None:
    reading, made = Reading(), a_key()
    verifier = reading.verifier()
    for text in ("capy_live_x", "", made.text):
        with pytest.raises(InvalidCredentials):
            verifier.verify(text, NOW)
    assert reading.count == 2
    reading.entries[made.id] = format_entry(made.entry)
    assert verifier.verify(made.text, NOW).name == "ci"
    assert reading.count == 3
    assert reading.time == pytest.approx(2 * RETRY_SECONDS)
    for _ in range(100):
        verifier.verify(made.text, NOW)
    assert reading.count == 3


def test_a_revoked_key_opens_nothing_soon() -> None:
    reading, made = Reading(), a_key()
    reading.entries[made.id] = format_entry(made.entry)
    verifier = reading.verifier()
    assert verifier.verify(made.text, NOW).name == "ci"
    reading.entries.clear()
    reading.time += MAX_AGE_SECONDS + 0.1
    with pytest.raises(InvalidCredentials):
        verifier.verify(made.text, NOW)


def test_while_kubernetes_is_away_the_last_keys_count() -> None:
    reading, made = Reading(), a_key()
    reading.entries[made.id] = format_entry(made.entry)
    verifier = reading.verifier()
    verifier.verify(made.text, NOW)
    reading.away, reading.time = True, 1000.0
    assert verifier.verify(made.text, NOW).name == "ci"


def test_a_key_that_could_not_be_read_is_not_called_unknown() -> None:
    reading, made = Reading(), a_key()
    reading.away = True
    verifier = reading.verifier()
    for _ in range(2):
        with pytest.raises(KubernetesUnavailable):
            verifier.verify(made.text, NOW)
    with pytest.raises(InvalidCredentials):
        verifier.verify("no key at all", NOW)
    reading.away, reading.time = False, 1000.0
    reading.entries[made.id] = format_entry(made.entry)
    assert verifier.verify(made.text, NOW).name == "ci"
