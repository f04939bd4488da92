"""Checks that derived names are repeatable, unique for their owner, and short enough."""

import re
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgimport.model import names

labels = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)
subdomains = st.lists(labels, min_size=1, max_size=6).map(".".join).filter(lambda name: len(name) <= 253)
uids = st.uuids().map(str)
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
PLAIN_IDENTIFIER = re.compile(r"[a-z0-9_]+")


@given(subdomains, uids)
def test_the_name_of_a_job_is_a_dns_label(name: str, uid: str) -> None:
    derived_name = names.job_name(name, uid)
    assert len(derived_name) <= 63
    assert DNS_LABEL.fullmatch(derived_name)
    assert derived_name == names.job_name(name, uid)


@given(labels, subdomains, uids)
def test_the_names_of_a_database_and_its_owner_need_no_quotes(project: str, preview: str, uid: str) -> None:
    database = names.preview_database_name(project, preview, uid)
    role = names.owner_role_name(database)
    for derived_name in (database, role):
        assert len(derived_name) <= 63
        assert PLAIN_IDENTIFIER.fullmatch(derived_name)
    assert role != database
    assert role.endswith("_owner")


@given(subdomains, st.lists(uids, min_size=2, max_size=2, unique=True))
def test_owners_with_the_same_name_get_different_names(name: str, owner_uids: list[str]) -> None:
    first, second = owner_uids
    assert names.job_name(name, first) != names.job_name(name, second)
    assert names.preview_database_name("p", name, first) != names.preview_database_name("p", name, second)
    assert names.attempt_names(first) != names.attempt_names(second)


@given(uids)
def test_an_attempt_and_the_database_that_it_replaces_have_different_names(uid: str) -> None:
    shadow = names.attempt_names(uid)
    old = names.replaced_names(shadow.database)
    assert shadow.database != old.database
    assert all(len(derived_name) <= 63 for derived_name in (shadow.database, shadow.role, old.database, old.role))


@given(subdomains)
def test_the_name_of_a_connection_secret_is_a_dns_subdomain(preview: str) -> None:
    derived_name = names.connection_secret_name(preview)
    assert len(derived_name) <= 253
    assert all(part and part[0].isalnum() and part[-1].isalnum() for part in derived_name.split("."))
    assert re.search(r"[a-z0-9]-connection$", derived_name)


@pytest.mark.parametrize("project", ["pg", "pg-shop", "pg-", "shop", "pgshop"])
def test_no_role_has_a_name_that_postgres_reserves(project: str) -> None:
    database = names.preview_database_name(project, "pr-7", "uid")
    assert not database.startswith("pg_")
    assert names.owner_role_name(database).startswith(database)


def test_long_names_with_the_same_start_get_different_secrets() -> None:
    for secret_name in (names.connection_secret_name, names.source_secret_name):
        first, second = (secret_name("x" * 252 + end) for end in "ab")
        assert first != second
        assert len(first) == 253
    assert names.connection_secret_name("x" * 242) == "x" * 242 + "-connection"


def test_long_databases_with_the_same_start_get_different_owners() -> None:
    first, second = (names.owner_role_name("x" * 62 + end) for end in "ab")
    assert first != second


def test_the_password_of_an_attempt_depends_on_seed_and_pod() -> None:
    seed = secrets.token_bytes(32)
    password = names.attempt_password(seed, "pod")
    assert password == names.attempt_password(seed, "pod")
    assert password != names.attempt_password(seed, "another pod")
    assert password != names.attempt_password(secrets.token_bytes(32), "pod")
    assert seed.hex() not in password
