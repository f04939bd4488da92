"""What `pgimport doctor` says about an installation."""

import pytest
from tests.cli.kubernetes_objects import NOW, Json, a_body, a_condition, a_time, an_import

from pgimport.cli.cluster_commands.blocks import Sign, Title, format_plain
from pgimport.cli.cluster_commands.doctor_checks import (
    check_crds,
    check_deployments,
    check_objects,
    check_projects,
    check_resources,
    check_rights,
    check_scopes,
    is_allowed,
)
from pgimport.cli.cluster_commands.doctor_clients import check_client_refusals, check_psql, check_worker_images
from pgimport.cli.cluster_commands.projects import build_project_page


def a_deployment(component: str = "operator", version: str = "1.0", available: int = 1) -> Json:
    labels = {"app.kubernetes.io/component": component, "app.kubernetes.io/version": version}
    body = a_body("Deployment", f"pgimport-{component}", {}, {"availableReplicas": available})
    body["metadata"]["labels"] = labels
    return body


def test_missing_resources_are_named() -> None:
    names = ["postgresimports", "projects", "previewdatabases", "previewdatabases/status"]
    assert check_resources(names)[0] is Sign.FAIL
    assert "postgresimportschedules" in check_resources(names)[2]
    assert check_resources([*names, "postgresimportschedules"])[0] is Sign.PASS


EVERYTHING = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
VIEW = [{"verbs": ["get", "list", "watch"], "apiGroups": ["capydb.dev", ""], "resources": ["*"]}]


def test_an_admin_has_all_rights() -> None:
    [row] = check_rights(EVERYTHING, "shop", complete=True)
    assert row[0] is Sign.PASS


def test_a_viewer_reads_what_the_missing_rights_are_for() -> None:
    rows = check_rights(VIEW, "shop", complete=False)
    assert {sign for sign, _, _ in rows} == {Sign.WARN}
    assert any("create/patch/delete postgresimports" in text and "create and change" in text for _, _, text in rows)
    assert all("may be incomplete" in text for _, _, text in rows)
    assert not any("import logs" in text for _, _, text in rows)


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [
        ({"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}, True),
        ({"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["one"]}, False),
        ({"verbs": ["list"], "apiGroups": [""], "resources": ["secrets"]}, False),
        ({"verbs": ["get"], "apiGroups": ["apps"], "resources": ["secrets"]}, False),
        ({"verbs": ["get"], "nonResourceURLs": ["/version"]}, False),
    ],
    ids=["allowed", "one Secret only", "another verb", "another group", "no resource"],
)
def test_a_rule_is_read_as_the_api_server_reads_it(rule: Json, allowed: bool) -> None:
    assert is_allowed([rule], "", "secrets", "get") is allowed


@pytest.mark.parametrize(
    ("deployments", "signs"),
    [
        ([], [Sign.FAIL]),
        ([a_deployment(available=0)], [Sign.FAIL]),
        ([a_deployment(version="0.9")], [Sign.WARN]),
        ([a_deployment(), a_deployment("api")], [Sign.PASS, Sign.PASS]),
    ],
    ids=["not installed", "down", "another version", "operator and API"],
)
def test_the_operator_runs_in_the_version_of_the_program(deployments: list[Json], signs: list[Sign]) -> None:
    assert [sign for sign, _, _ in check_deployments(deployments, "1.0")] == signs


def an_operator(namespace: str, watched: str) -> Json:
    body = a_deployment()
    body["metadata"]["namespace"] = namespace
    variables = [{"name": "PGIMPORT_WATCH_NAMESPACES", "value": watched}, {"name": "OTHER", "valueFrom": {}}]
    body["spec"] = {"template": {"spec": {"containers": [{"env": variables}]}}}
    return body


@pytest.mark.parametrize(
    ("scopes", "shared"),
    [
        (["", ""], "all namespaces"),
        (["", "shop,zoo"], "shop, zoo"),
        (["shop,zoo", "den,zoo"], "zoo"),
        (["shop", "zoo"], None),
        ([""], None),
    ],
)
def test_two_operators_share_no_namespace(scopes: list[str], shared: str | None) -> None:
    rows = check_scopes([an_operator(f"system-{number}", scope) for number, scope in enumerate(scopes)])
    assert [sign for sign, _, _ in rows] == [Sign.FAIL] * (shared is not None)
    assert all(text.startswith("system-0/pgimport-operator and system-1/") for _, _, text in rows)
    assert all(f"both work on {shared}." in text for _, _, text in rows)


def test_resources_of_another_version_than_the_operators_are_named() -> None:
    crd = a_body("CustomResourceDefinition", "projects.capydb.dev", {}, {})
    assert check_crds([crd], [a_deployment()]) == []  # not installed by the chart
    crd["metadata"]["labels"] = {"app.kubernetes.io/version": "0.9"}
    [(sign, _, text)] = check_crds([crd], [a_deployment()])
    assert (sign, "projects are of version 0.9, the operator of 1.0" in text) == (Sign.WARN, True)
    assert check_crds([crd], [a_deployment(version="0.9"), a_deployment(), a_deployment("api", "0.8")]) == []
    assert check_crds([crd], []) == []


def test_each_project_shows_its_server_and_what_the_admin_should_change() -> None:
    spec = {"server": {"host": "db", "port": 5432}}
    good = a_body("Project", "shop", spec, {"ready": True, "targetVersion": "18.1", "warnings": ["PUBLIC may connect"]})
    webhooks = a_condition("WebhookFailed", "False", "WebhooksDelivered", "Webhook ci: refused")
    bad = a_body("Project", "zoo", spec, {"ready": False, "conditions": [a_condition("ServerUnreachable"), webhooks]})
    assert check_projects([good, bad]) == [
        (Sign.PASS, "project shop", "PostgreSQL 18.1 at db:5432"),
        (Sign.WARN, "project shop", "PUBLIC may connect"),
        (Sign.FAIL, "project zoo", "db:5432: ServerUnreachable"),
        (Sign.WARN, "project zoo", "Webhook ci: refused"),
    ]
    assert ["webhooks:", "Webhook ci: refused"] in format_plain(build_project_page(bad)[1])
    assert "webhooks:" not in str(format_plain(build_project_page(good)[1]))


def test_the_page_of_a_project_says_how_it_copies_and_what_holds_its_deletion() -> None:
    status = {"ready": True, "cloneMethod": "clone", "cloneBytesPerSecond": 2_000_000_000}
    left = a_condition("RoleInUse", "False", "CleanedUp", "role a is in use")
    body = a_body("Project", "shop", {}, {**status, "conditions": [left]}, deletionTimestamp=a_time())
    title, fields, _ = build_project_page(body)
    assert title == Title("Project shop", "deleting")
    assert ["copies:", "clone, 2.0 GB/s"] in format_plain(fields)
    assert ["clean-up:", "RoleInUse: role a is in use"] in format_plain(fields)


def test_each_server_has_a_worker_image() -> None:
    operator = a_deployment()
    images = [{"name": "PGIMPORT_WORKER_IMAGES", "value": '{"17": "worker-17", "18": "worker-18"}'}]
    operator["spec"] = {"template": {"spec": {"containers": [{"env": images}]}}}
    new, old = (a_body("Project", name, {}, {"targetVersion": name[1:]}) for name in ("v18.6", "v16.14 (Debian)"))
    assert check_worker_images([operator], [new]) == [(Sign.PASS, "worker images", "for servers of PostgreSQL 17, 18")]
    [(sign, _, text)] = check_worker_images([operator], [new, old])
    assert (sign, "PostgreSQL 16" in text, "worker.images.16" in text) == (Sign.FAIL, True, True)
    assert check_worker_images([a_deployment()], [old]) == []  # its images are not readable


def test_old_clients_of_a_worker_image_are_named_until_an_import_finds_new_ones() -> None:
    error = "pg_dump 16.3 lacks security fixes: at least 16.15 is needed (hint: Rebuild)"
    failed = an_import("failed", "ClientTooOld", error=error, completedAt=a_time(60))
    [(sign, _, text)] = check_client_refusals([an_import(), failed])
    assert (sign, "pg_dump 16.3 lacks" in text, "hint" in text) == (Sign.FAIL, True, False)
    assert check_client_refusals([failed, an_import("completed", "Completed", completedAt=a_time(90))]) == []


@pytest.mark.parametrize(
    ("output", "sign"),
    [
        ("psql (PostgreSQL) 17.11 (Debian 17.11-1)", Sign.PASS),
        ("psql (PostgreSQL) 19beta1", Sign.PASS),
        ("psql (PostgreSQL) 17.10", Sign.WARN),
        ("psql (PostgreSQL) 13.23", Sign.WARN),
        ("", Sign.WARN),
    ],
)
def test_the_psql_of_the_machine_has_its_security_fixes(output: str, sign: Sign) -> None:
    assert check_psql(output)[0] is sign


def test_objects_show_whether_the_operator_works() -> None:
    unseen, deleting = an_import(), an_import("running", "Running", name="old")
    deleting["metadata"]["deletionTimestamp"] = a_time(-3600)
    ended = an_import("failed", "DumpFailed", name="ended")
    rows = check_objects([unseen, deleting, ended], "imports", NOW)
    assert [sign for sign, _, _ in rows] == [Sign.FAIL, Sign.WARN, Sign.WARN]
    assert ["debian" in rows[0][2], "old" in rows[1][2], "ended" in rows[2][2]] == [True] * 3
    assert check_objects([an_import("running", "Running")], "imports", NOW)[0][0] is Sign.PASS
    just_ended = an_import("failed", "DumpFailed", completedAt=a_time(540))
    assert check_objects([just_ended], "imports", NOW)[0][0] is Sign.PASS
    assert check_objects([], "imports", NOW) == []
