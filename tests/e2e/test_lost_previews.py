"""Previews that lose their database or their connection Secret get it back, and an event says so."""

import pytest
from tests.e2e.tenant import PREVIEWS, Tenant, condition_of, state_of
from tests.support import kubectl
from tests.support.kubectl import Manifest

pytestmark = [pytest.mark.cluster, pytest.mark.waits]

DATABASE_SECONDS = 90  # a Project is checked once a minute
SECRET_SECONDS = 330  # each Secret is read within five minutes


def list_warnings(tenant: Tenant, name: str, reason: str) -> list[str]:
    events = kubectl.list_objects("events.events.k8s.io", tenant.name)
    return [
        event["note"]
        for event in events
        if (event["regarding"]["name"], event["reason"], event["type"]) == (name, reason, "Warning")
    ]


def test_a_lost_database_and_a_lost_secret_come_back(tenant: Tenant) -> None:
    tenant.make_kept_previews("lost-database", "lost-secret")
    password = tenant.connection("lost-secret")["password"]
    kubectl.delete("secrets", "lost-secret-connection", namespace=tenant.name)
    database = tenant.database("lost-database")
    tenant.server.execute(f'DROP DATABASE "{database}" WITH (FORCE)')

    def is_back(body: Manifest) -> bool:
        return state_of(body) == "ready" and "databaseLostAt" in body["status"]

    bodies = tenant.wait(PREVIEWS, ("lost-database",), is_back, "has a new database", DATABASE_SECONDS)
    assert "Its earlier content is lost" in condition_of(bodies["lost-database"])["message"]
    assert tenant.tables("lost-database") == []
    (note,) = list_warnings(tenant, "lost-database", "DatabaseGone")
    assert f"Database {database} no longer exists" in note

    # The event follows the new password at the server.
    (note,) = kubectl.wait_until(
        lambda: list_warnings(tenant, "lost-secret", "ConnectionReplaced"), "the Secret is back", SECRET_SECONDS
    )
    assert "new password" in note
    assert tenant.connection("lost-secret")["password"] != password
    assert tenant.tables("lost-secret") == ["kept"]
