"""What the commands show of an import, at several widths, and what `import explain` says."""

import io

import pytest
from rich.console import Console
from tests.cli.kubernetes_objects import (
    NOW,
    Json,
    a_condition,
    a_failed_import,
    a_preview,
    a_running_import,
    a_time,
    an_import,
)

from pgimport.cli.cluster_commands.blocks import Block, Items, Page, fit_columns, format_plain
from pgimport.cli.cluster_commands.drawing import draw_page
from pgimport.cli.cluster_commands.explanations import SecretKeys, Surroundings, build_explanation, suggest_commands
from pgimport.cli.cluster_commands.import_pages import build_import_page, build_import_table
from pgimport.cli.cluster_commands.import_view import decide_import_end
from pgimport.cli.cluster_commands.objects import exit_code_of, format_seconds
from pgimport.cli.cluster_commands.reports import build_report_blocks


def draw(*blocks: Block, width: int = 80, unicode: bool = True) -> list[str]:
    """Returns the lines that a terminal of this width shows."""
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=True, color_system=None, highlight=False)
    console.print(draw_page(Page(blocks), width, unicode=unicode))
    return [line.rstrip() for line in out.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("width", "header"),
    [
        (40, "NAME STATE REASON"),
        (80, "NAME STATE PHASE PROGRESS LEFT TARGET REASON"),
        (200, "NAME STATE PHASE PROGRESS RATE LEFT TARGET REASON AGE"),
    ],
)
def test_a_narrow_list_leaves_out_columns_and_breaks_no_row(width: int, header: str) -> None:
    items = [a_running_import(), a_failed_import("SourcePermissionDenied", "permission denied", 69)]
    lines = draw(build_import_table(items, NOW, all_namespaces=False), width=width)
    assert lines[0].split() == header.split()
    assert len(lines) == 1 + len(items)


def test_a_program_gets_all_columns_with_values_to_compute_with() -> None:
    [row] = format_plain(build_import_table([a_running_import()], NOW, all_namespaces=True))
    assert row[:10] == ["shop", "debian", "running", "data", "45", "35000000", "51", "pr-42", "Running", a_time()]


def test_a_narrow_list_of_all_namespaces_names_them() -> None:
    table = build_import_table([a_running_import()], NOW, all_namespaces=True)
    assert [column.title for column in fit_columns(table, 30).columns] == ["NAMESPACE", "NAME", "STATE"]


def test_the_page_of_a_running_import_shows_phases_bar_and_rate() -> None:
    lines = draw(*build_import_page(a_running_import(waitingFor="a lock on table public.orders"), NOW))
    assert lines[0] == "import debian  running"
    assert lines[1].split("  ")[:3] == ["✓ preflight", "✓ schema", "▶ data"]
    assert lines[2] == "██████████░░░░░░░░░░░░░░  45 %"
    assert lines[3] == "3 of 12 tables, 1.2 GB of 3.0 GB, 35.0 MB/s, 51s left in this phase"
    assert lines[4] == "waits for a lock on table public.orders"


def test_a_narrow_page_parts_no_phase_from_its_sign() -> None:
    lines = draw(*build_import_page(a_running_import(), NOW), width=40)
    assert lines[1:4] == ["✓ preflight  ✓ schema  ▶ data  · indexes", "· analyze  · verify  · swap", lines[3]]
    assert lines[3].endswith("45 %")


def test_a_terminal_without_unicode_gets_ascii() -> None:
    text = "\n".join(draw(*build_import_page(a_running_import(), NOW), unicode=False))
    assert "> data" in text
    assert "##########--------------" in text
    assert text.isascii()


def test_wrapped_lines_begin_below_their_text() -> None:
    lines = draw(Items("attempts", ["word " * 20]), width=30)
    assert [len(line) - len(line.lstrip()) for line in lines] == [0, 2, 4, 4, 4]


def test_control_characters_of_a_source_reach_no_terminal() -> None:
    body = a_failed_import("DumpFailed", "table \x1b[31mred\x1b[0m \u202eevil")
    text = "\n".join(draw(*build_import_page(body, NOW)))
    assert "\\x1b[31mred\\x1b[0m \\u202eevil" in text
    assert "\x1b" not in text


def test_the_error_of_the_import_is_not_repeated_by_its_attempt() -> None:
    text = "\n".join(draw(*build_import_page(a_failed_import("DumpFailed", "no such relation", 75), NOW), width=200))
    assert text.count("no such relation") == 1


def explain(body: Json, around: Surroundings) -> str:
    return "\n".join(draw(*build_explanation(body, around, NOW), width=200))


NO_SECRET = Surroundings(a_preview(), secret=SecretKeys(False))
OTHER_KEY = Surroundings(a_preview(), secret=SecretKeys(True, ["uri"]))


@pytest.mark.parametrize(
    ("body", "around", "text", "commands"),
    [
        (None, Surroundings(), "has not seen the import yet", ["PGIMPORT doctor"]),
        (
            an_import("pending", "SourceSecretMissing"),
            NO_SECRET,
            "Secret source does not exist.",
            ["kubectl create secret generic source --from-file=url=FILE NS"],
        ),
        (
            an_import("pending", "SourceSecretMissing"),
            OTHER_KEY,
            "Secret source has no key url. It has uri.",
            [
                "PGIMPORT import cancel debian",
                "PGIMPORT import create NEW --preview pr-42 --from-secret source/uri",
            ],
        ),
        (
            an_import(
                "pending",
                "ConfigMapMissing",
                message="The import waits for ConfigMap mask with the key m.sql. The ConfigMap does not exist",
                spec={"postImport": {"sqlConfigMapRef": {"name": "mask", "key": "m.sql"}}},
            ),
            Surroundings(a_preview()),
            "ConfigMap mask with the key m.sql",
            ["kubectl create configmap mask --from-file=m.sql=FILE NS"],
        ),
        (
            an_import(
                "pending",
                "SourceSecretMissing",
                message="The import waits for Secret ca with the key ca.crt. The Secret does not exist",
                spec={"source": {"caSecretRef": {"name": "ca", "key": "ca.crt"}}},
            ),
            Surroundings(a_preview()),
            "Secret ca with the key ca.crt",
            ["kubectl create secret generic ca --from-file=ca.crt=FILE NS"],
        ),
        (
            an_import("pending", "TargetNotFound"),
            Surroundings(preview_missing=True),
            "PreviewDatabase pr-42 does not exist.",
            ["PGIMPORT preview create pr-42"],
        ),
        (
            an_import("pending", "TargetNotReady"),
            Surroundings(a_preview("expired", "Expired")),
            "pr-42 is expired. Expired: The message.",
            ["PGIMPORT preview extend pr-42"],
        ),
        (
            an_import("pending", "Suspended", spec={"pendingTimeout": "6h"}),
            Surroundings(),
            "until somebody resumes it",
            ["PGIMPORT import resume debian"],
        ),
        (
            an_import("pending", "Queued", spec={"pendingTimeout": "6h"}),
            Surroundings(),
            "until its queue admits it",
            ["PGIMPORT import list"],
        ),
        (an_import("pending", "WaitingForSlot"), Surroundings(), "without a limit", ["PGIMPORT import list"]),
        (
            an_import("pending", "WaitingForSlot", spec={"pendingTimeout": "6h"}),
            Surroundings(),
            "at most 6h",
            ["PGIMPORT import list"],
        ),
        (a_running_import(), Surroundings(), "has 2 attempts left", ["PGIMPORT import get debian --watch"]),
        (
            a_failed_import("TargetNotEmpty", "database has objects"),
            Surroundings(),
            "as it was before",
            ["PGIMPORT import retry debian --recreate"],
        ),
        (
            a_failed_import("WorkerFailed", "a bug", 13),
            Surroundings(),
            "Read the traceback",
            ["PGIMPORT import logs debian", "PGIMPORT import retry debian"],
        ),
        (
            an_import("completed", "Completed", skipped=2),
            Surroundings(a_preview()),
            "holds the verified import",
            ["PGIMPORT import report debian", "PGIMPORT preview psql pr-42"],
        ),
        (
            an_import("completed", "Completed", spec={"dryRun": True, "target": None}, preflight={"ok": True}),
            Surroundings(),
            "All checks have passed.",
            ["PGIMPORT import preflight debian"],
        ),
        (
            an_import("completed", "Completed", spec={"dryRun": True}, preflight={"ok": False}),
            Surroundings(a_preview()),
            "Checks have failed, as an import would. A dry run imports nothing.",
            ["PGIMPORT import preflight debian"],
        ),
        (
            an_import("completed", "Completed"),
            Surroundings(a_preview(spec={"golden": True})),
            "holds the verified import",
            ["PGIMPORT preview clone NEW --from pr-42"],
        ),
    ],
)
def test_an_explanation_says_what_is_wrong_and_what_to_type(
    body: Json | None, around: Surroundings, text: str, commands: list[str]
) -> None:
    body = body or an_import()
    assert text in explain(body, around)
    assert suggest_commands(body, around) == commands


def test_a_copy_that_was_not_compared_is_not_said_to_be_verified() -> None:
    verification = {"mode": "none", "verified": False, "notCompared": ["anything: spec.verify is none"]}
    body = an_import("completed", "Completed", verification=verification)
    assert "which was not verified" in explain(body, Surroundings())
    text = "\n".join(draw(*build_import_page(body, NOW)))
    assert "verified:\n  - nothing\n  - not compared: anything: spec.verify is none" in text


@pytest.mark.parametrize(
    ("around", "text", "commands"),
    [
        (Surroundings(preview_missing=True), "was deleted", ["preview create pr-42", "import retry debian"]),
        (Surroundings(a_preview("expired", "Expired")), "has expired", ["preview extend pr-42", "import retry debian"]),
        (Surroundings(a_preview(resetAt=a_time(200))), "was reset after the import", ["import retry debian"]),
        (Surroundings(a_preview(databaseLostAt=a_time(200))), "was lost", ["import retry debian"]),
        (Surroundings(a_preview(resetAt=a_time(10))), "holds the verified import", ["preview psql pr-42"]),
        (Surroundings(), "holds the verified import", ["preview psql pr-42"]),
    ],
)
def test_data_that_is_gone_is_not_said_to_be_there(around: Surroundings, text: str, commands: list[str]) -> None:
    body = an_import("completed", "Completed", completedAt=a_time(100))
    assert text in explain(body, around)
    assert suggest_commands(body, around) == [f"PGIMPORT {command}" for command in commands]


OWN_SECRET = {"source": {"urlSecretRef": {"name": "debian-source", "key": "url"}}}
UPLOAD = {"source": {"uploadKey": "shop/1"}}
CHECKED = {"ok": False, "checks": []}


@pytest.mark.parametrize(
    ("body", "command"),
    [
        (an_import("failed", "SourceAuthFailed"), "retry debian"),
        (an_import("failed", "SourceAuthFailed", spec=OWN_SECRET), "create NEW --preview pr-42 --from-file FILE"),
        (an_import("failed", "SourceUnreachable", spec=OWN_SECRET), "retry debian"),
        (an_import("failed", "SourceUnreachable", spec=UPLOAD), "retry debian"),
        (an_import("failed", "DumpCorrupt", spec=UPLOAD), "create NEW --preview pr-42 --dump FILE"),
        (an_import("failed", "TargetFull", spec=UPLOAD, uploadDeleted=True), "create NEW --preview pr-42 --dump FILE"),
        (
            an_import("cancelled", "Cancelled", spec={**UPLOAD, "recreate": True}, uploadDeleted=True),
            "create NEW --preview pr-42 --dump FILE --recreate",
        ),
        (
            an_import("failed", "SourceAuthFailed", spec={**OWN_SECRET, "dryRun": True, "target": None}),
            "preflight --from-file FILE",
        ),
        (an_import("failed", "SourceTooLarge", spec={"dryRun": True}, preflight=CHECKED), "retry debian"),
    ],
)
def test_a_retry_is_suggested_only_if_its_source_can_be_another_one(body: Json, command: str) -> None:
    assert suggest_commands(body, Surroundings(a_preview()))[-1] == f"PGIMPORT import {command}"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (an_import("completed", "Completed", refused=0), "completed"),
        (an_import("completed", "Completed", refused=1), "completed, but the target refused 1 object"),
        (an_import("completed", "Completed", spec={"dryRun": True}, preflight={"ok": True}), "completed"),
        (
            an_import("completed", "Completed", spec={"dryRun": True}, preflight={"ok": False}),
            "completed, but checks failed",
        ),
        (an_import("failed", "DumpFailed"), "failed: DumpFailed"),
    ],
)
def test_a_wait_says_how_the_import_has_ended(body: Json, text: str) -> None:
    outcome = decide_import_end(body)
    assert outcome is not None
    assert outcome.message == f"import debian {text}"


def test_objects_that_the_target_refused_are_part_of_the_explanation() -> None:
    body = an_import("completed", "Completed")
    body["status"]["conditions"].append(
        a_condition("ObjectsRefused", "False", "FullyImported", "The target refused 1 object: function f().")
    )
    assert "The target refused 1 object: function f()." in explain(body, Surroundings())


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (an_import("completed", "Completed"), 0),
        (an_import("failed", "SourceAuthFailed"), 66),
        (an_import("failed", "TargetNotEmpty"), 1),
        (an_import("failed", "OfALaterVersion"), 1),
        (an_import("cancelled", "Cancelled"), 1),
    ],
    ids=["completed", "code of the reason", "reason without a code", "unknown reason", "cancelled"],
)
def test_the_exit_code_is_that_of_the_reason(body: Json, code: int) -> None:
    assert exit_code_of(body) == code


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0s"),
        (59, "59s"),
        (119, "119s"),
        (120, "2m"),
        (310, "5m10s"),
        (11520, "3h12m"),
        (345600, "4d"),
        (9e6, "104d"),
    ],
)
def test_ages_have_the_form_of_kubectl(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


def test_a_report_lists_each_kind_of_entry() -> None:
    report = (
        '{"skipped": {"object": "table a.b", "why": "needs type t", "rows": 7, "sqlstate": "42501"}}\n'
        '{"check": {"name": "encoding", "status": "warn", "detail": "SQL_ASCII"}}\nnot JSON\n[1]\n{"omitted": 3}\n'
        '{"difference": "of another version"}\n{"difference": {"table": "c", "sourceRows": 2, "targetRows": 2}}\n'
        '{"difference": {"table": "d", "targetRows": 1}}\n'
    )
    assert [line for block in build_report_blocks([report]) for line in format_plain(block)] == [
        ["skipped:", "table a.b (7 rows): needs type t (42501)"],
        ["differs:", '"of another version"'],
        ["differs:", "c: 2 rows on both sides, but not the same ones"],
        ["differs:", "d: ? rows at the source, 1 row in the copy"],
        ["checks:", "warn encoding: SQL_ASCII"],
        ["left out because the report is too large:", "3 lines"],
    ]
