"""Checks the defaults and rules of a schedule's spec, and which texts the API server accepts as a schedule."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError
from tests.support.samples import a_schedule_spec

from pgimport.model.cron_text import CRON_RULE, MACROS, ZONE_RULE
from pgimport.model.names import find_scheduled_time, scheduled_import_name
from pgimport.model.schedule_spec import NOT_CANCELLED, ConcurrencyPolicy

TEMPLATE = {"project": "shop", "source": {"urlSecretRef": {"name": "source", "key": "url"}}, "dryRun": True}
EVERY_MINUTE_IN_A_LIST = ",".join(map(str, range(60)))  # 169 characters


def test_the_defaults_are_those_of_a_cron_job() -> None:
    spec = a_schedule_spec()
    assert (spec.suspend, spec.starting_deadline_seconds, spec.jitter) == (False, None, None)
    assert (spec.successful_imports_history_limit, spec.failed_imports_history_limit) == (3, 1)
    # CronJob's default is Allow, which does not exist here.
    assert spec.concurrency_policy is ConcurrencyPolicy.FORBID
    assert spec.time_zone == "Etc/UTC"


@pytest.mark.parametrize(
    "schedule",
    [
        *MACROS,
        "* * * * *",
        "0 2 * * *",
        "59 23 31 12 6",
        "00 02 01 01 0",
        "*/15 0-23/2 ? JAN-mar,Dec Mon-Fri",
        "5/10 * * * *",
        "0  2   * * sun",
        f"{EVERY_MINUTE_IN_A_LIST} * * * *",
    ],
)
def test_a_schedule_in_the_syntax_of_cron_job_is_accepted(schedule: str) -> None:
    assert a_schedule_spec(schedule=schedule).schedule == schedule


@pytest.mark.parametrize(
    "schedule",
    [
        "",
        "daily",
        "@reboot",
        "@every 1h",
        "* * * *",
        "* * * * * *",
        " * * * * *",
        "60 * * * *",
        "0 24 * * *",
        "0 2 0 * *",
        "0 2 32 * *",
        "0 2 * 13 *",
        "0 2 * * 7",
        "*/0 * * * *",
        "0 2 L * *",
        "0 2 * * mon#1",
        "1,,2 * * * *",
        "TZ=Europe/Berlin 0 2 * * *",
        "0 2 * * *\n",
    ],
)
def test_another_text_is_refused_with_an_example(schedule: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(CRON_RULE)):
        a_schedule_spec(schedule=schedule)


@pytest.mark.parametrize("zone", ["UTC", "Etc/GMT+12", "America/Argentina/Ushuaia", "America/Port-au-Prince"])
def test_a_name_of_the_iana_database_is_accepted(zone: str) -> None:
    assert a_schedule_spec(timeZone=zone).time_zone == zone


@pytest.mark.parametrize("zone", ["", "+02:00", "europe/berlin", "Europe/", "/etc/passwd", "Europe/../UTC", "CET CEST"])
def test_another_time_zone_is_refused(zone: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(ZONE_RULE)):
        a_schedule_spec(timeZone=zone)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"jitter": "0s"}, "jitter must be more than 0s and at most 24h", id="no jitter"),
        pytest.param({"jitter": "24h1s"}, "jitter must be more than 0s and at most 24h", id="too much jitter"),
        pytest.param({"concurrencyPolicy": "Allow"}, "Input should be 'Forbid' or 'Replace'", id="overlapping imports"),
        pytest.param({"startingDeadlineSeconds": -1}, "greater than or equal to 0", id="a negative deadline"),
        pytest.param({"importTemplate": {"project": "shop", "source": {}}}, "importTemplate.source", id="no source"),
        pytest.param({"jitter": "1d"}, "'1d' is not a duration", id="a unit that Go lacks"),
        pytest.param({"importTemplate": {**TEMPLATE, "cancel": True}}, NOT_CANCELLED, id="imports that never run"),
        pytest.param({"jobTemplate": {}}, "Extra inputs", id="an unknown field"),
    ],
)
def test_an_invalid_schedule_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(words)):
        a_schedule_spec(**changes)


def test_a_schedule_may_create_suspended_imports() -> None:
    assert a_schedule_spec(importTemplate={**TEMPLATE, "suspend": True}).import_template.suspend


def test_the_name_of_an_import_holds_its_minute() -> None:
    time = datetime(2026, 1, 2, 2, 0, tzinfo=UTC)
    name = scheduled_import_name("nightly", time)
    assert name == "nightly-29455320"
    assert find_scheduled_time("nightly", name) == time
    assert scheduled_import_name("nightly", time + timedelta(minutes=1)) == "nightly-29455321"


@pytest.mark.parametrize(
    "name", ["nightly", "nightly-", "nightly-now", "hourly-29455320", "nightly-1-2", "nightly-9999999999"]
)
def test_another_name_holds_no_minute(name: str) -> None:
    assert find_scheduled_time("nightly", name) is None
