"""Checks that no URL makes libpq, its client programs or the download connect to an unchecked address."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzz.source_url_check import check_url
from tests.support.source_url_tricks import HOSTS, PARAMETERS, WHOLE

ROOT = Path(__file__).parents[2]
hosts = st.one_of(
    st.sampled_from([host for host, _ in HOSTS.values()]),
    st.text(max_size=30),
    st.from_regex(r"[a-z0-9.-]{1,30}", fullmatch=True),
    st.ip_addresses().map(str),
)
words = st.one_of(
    st.text(max_size=12),
    st.from_regex(r"[a-z0-9%:@/?&=]{0,12}", fullmatch=True),
    st.sampled_from(["host=127.0.0.1", "a b", "postgresql://x", "%00", "%40", ",", "'", "\\"]),
)
parameters = st.lists(st.one_of(st.sampled_from(PARAMETERS), words), max_size=3).map("&".join)
urls = st.one_of(
    st.builds(
        "{}://{}:{}@{}:{}/{}?{}".format,
        st.sampled_from(["postgresql", "postgres", "https", "POSTGRES"]),
        words,
        words,
        hosts,
        st.one_of(st.integers(-1, 70000).map(str), words),
        words,
        parameters,
    ),
    st.builds("https://{}/{}?{}".format, hosts, words, words),
    st.builds("postgresql://u:{}@{}/{}".format, words, hosts, words),
    st.sampled_from(list(WHOLE.values())),
    st.text(max_size=80),
)


@settings(max_examples=400)
@given(urls)
def test_an_accepted_url_leads_to_the_checked_address_only(text: str) -> None:
    check_url(text)


@given(words, words)
def test_a_name_that_looks_like_a_conninfo_string_stays_a_name(user: str, dbname: str) -> None:
    check_url(f"postgresql://{user}:secret@a.example.com/{dbname}")


@pytest.mark.thorough
def test_twenty_seconds_of_atheris(tmp_path: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "20"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'operator'}"},
    )
    assert process.returncode == 0, process.stdout[-2000:] + process.stderr[-4000:]
    assert "number_of_executed_units" in process.stderr
