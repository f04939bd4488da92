"""Derived names: always the same for one owner, never the same for two, and never too long."""

import re
import secrets

from hypothesis import given
from hypothesis import strategies as st

from pgimport.model import names

labels = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)
subdomains = st.lists(labels, min_size=1, max_size=6).map(".".join).filter(lambda name: len(name) <= 253)
uids = st.uuids().map(str)
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
PLAIN_IDENTIFIER = re.compile(r"[a-z0-9_]+")


@given(subdomains, uids)
def test_a_job_has_a_name_that_can_be_a_label(name: str, uid: str) -> None:
    found = names.job_name(name, uid)
    assert len(found) <= 63
    assert DNS_LABEL.fullmatch(found)
    assert found == names.job_name(name, uid)


@given(labels, subdomains, uids)
def test_a_database_needs_no_quotes(project: str, preview: str, uid: str) -> None:
    database = names.preview_database_name(project, preview, uid)
    role = names.owner_role_name(database)
    for found in (database, role):
        assert len(found) <= 63
        assert PLAIN_IDENTIFIER.fullmatch(found)
    assert role != database
    assert role.endswith("_owner")


@given(subdomains, st.lists(uids, min_size=2, max_size=2, unique=True))
def test_two_owners_of_one_name_never_meet(name: str, two: list[str]) -> None:
    one, other = two
    assert names.job_name(name, one) != names.job_name(name, other)
    assert names.preview_database_name("p", name, one) != names.preview_database_name("p", name, other)
    assert names.attempt_names(one) != names.attempt_names(other)


@given(uids)
def test_an_attempt_and_what_it_replaces_have_names_of_their_own(uid: str) -> None:
    shadow = names.attempt_names(uid)
    old = names.replaced_names(shadow.database)
    assert shadow.database != old.database
    assert all(len(found) <= 63 for found in (shadow.database, shadow.role, old.database, old.role))


@given(subdomains)
def test_a_connection_secret_has_a_name_that_kubernetes_takes(preview: str) -> None:
    found = names.connection_secret_name(preview)
    assert len(found) <= 253
    assert all(part and part[0].isalnum() and part[-1].isalnum() for part in found.split("."))
    assert re.search(r"[a-z0-9]-connection$", found)


def test_two_long_owners_of_one_beginning_never_meet() -> None:
    one, other = (names.owner_role_name("x" * 62 + end) for end in "ab")
    assert one != other


def test_an_attempts_password_is_made_of_seed_and_pod() -> None:
    seed = secrets.token_bytes(32)
    made = names.attempt_password(seed, "pod")
    assert made == names.attempt_password(seed, "pod")
    assert made != names.attempt_password(seed, "another pod")
    assert made != names.attempt_password(secrets.token_bytes(32), "pod")
    assert seed.hex() not in made
