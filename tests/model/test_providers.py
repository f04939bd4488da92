"""Checks how providers and poolers are detected, and which objects belong to a provider."""

import pytest

from pgimport.model.import_choices import Provider
from pgimport.model.provider_rules import PROVIDERS, ProviderFingerprint
from pgimport.model.providers import (
    find_host_hint,
    find_pooler,
    find_provider,
    find_provider_extensions,
    find_provider_schemas,
)

NEON = "ep-cool-darkness-a1b2c3d4.us-east-2.aws.neon.tech"
NEON_POOLER = "ep-cool-darkness-a1b2c3d4-pooler.us-east-2.aws.neon.tech"
SUPABASE = "db.abcdefghijklmnopqrst.supabase.co"
SUPABASE_POOLER = "aws-0-eu-central-1.pooler.supabase.com"
RDS = "shop.cxyz.eu-west-1.rds.amazonaws.com"
RDS_PROXY = "shop.proxy-cxyz.eu-west-1.rds.amazonaws.com"
HEROKU = "ec2-1-2-3-4.compute-1.amazonaws.com"


@pytest.mark.parametrize(
    ("host", "fingerprint", "choice", "provider"),
    [
        pytest.param(NEON, None, "auto", "neon", id="neon by host"),
        pytest.param(f"{NEON.upper()}.", None, "auto", "neon", id="capitals and a trailing dot"),
        pytest.param(SUPABASE, None, "auto", "supabase", id="supabase by host"),
        pytest.param(SUPABASE_POOLER, None, "auto", "supabase", id="supabase by its pooler"),
        pytest.param(RDS, None, "auto", "rds", id="rds by host"),
        pytest.param("shop.cluster-ro-c.eu-west-1.rds.amazonaws.com", None, "auto", "rds", id="aurora"),
        pytest.param(HEROKU, None, "auto", "heroku", id="heroku by host"),
        pytest.param("dpg-c1-a.oregon-postgres.render.com", None, "auto", "render", id="render by host"),
        pytest.param("roundhouse.proxy.rlwy.net", None, "auto", "railway", id="railway by host"),
        pytest.param("db.example.com", None, "auto", "none", id="no provider"),
        pytest.param(
            "evil-neon.tech.example.com", None, "auto", "none", id="a provider's domain inside another domain"
        ),
        pytest.param(None, None, "auto", "none", id="a dump file"),
        pytest.param("a1.b2.us-central1.sql.goog", None, "auto", "cloudsql", id="cloud sql by host"),
        pytest.param("a1.b2.us-central1.alloydb.goog", None, "auto", "alloydb", id="alloydb by host"),
        pytest.param("shop.postgres.database.azure.com", None, "auto", "azure", id="azure by host"),
        pytest.param("shop-me.a.aivencloud.com", None, "auto", "aiven", id="aiven by host"),
        pytest.param("p.abc.db.postgresbridge.com", None, "auto", "crunchybridge", id="crunchy bridge by host"),
        pytest.param("shop-do-user-1-0.b.db.ondigitalocean.com", None, "auto", "digitalocean", id="digitalocean"),
        pytest.param("a1.b2.tsdb.cloud.timescale.com", None, "auto", "timescale", id="timescale by host"),
        pytest.param(
            "10.0.0.1", ProviderFingerprint(settings=frozenset({"cloudsql"})), "auto", "cloudsql", id="cloud sql by ip"
        ),
        pytest.param(
            "10.0.0.1", ProviderFingerprint(settings=frozenset({"supautils"})), "auto", "supabase", id="self-hosted"
        ),
        pytest.param(
            "10.0.0.1", ProviderFingerprint(extensions=frozenset({"neon"})), "auto", "neon", id="by an extension"
        ),
        pytest.param("10.0.0.1", ProviderFingerprint(settings=frozenset({"rds"})), "auto", "rds", id="by a setting"),
        pytest.param(RDS, ProviderFingerprint(schemas=frozenset({"heroku_ext"})), "auto", "heroku", id="heroku on rds"),
        pytest.param(
            "10.0.0.1",
            ProviderFingerprint(schemas=frozenset({"auth", "storage"})),
            "auto",
            "none",
            id="schemas that any server may have",
        ),
        pytest.param(
            NEON,
            ProviderFingerprint(settings=frozenset({"neon"})),
            "supabase",
            "supabase",
            id="the user's choice",
        ),
        pytest.param(
            NEON, ProviderFingerprint(settings=frozenset({"neon"})), "none", "none", id="the user's choice: none"
        ),
    ],
)
def test_a_provider_is_detected(
    host: str | None, fingerprint: ProviderFingerprint | None, choice: str, provider: str
) -> None:
    assert find_provider(host, fingerprint, Provider(choice)).provider.value == provider


@pytest.mark.parametrize(
    ("host", "port", "mode", "instead"),
    [
        pytest.param(NEON_POOLER, 5432, "transaction", NEON, id="neon"),
        pytest.param(SUPABASE_POOLER, 6543, "transaction", "port 5432", id="supabase, transactions"),
        pytest.param(SUPABASE, 6543, "transaction", f"{SUPABASE}:5432", id="supabase, on the project's own host"),
        pytest.param(SUPABASE_POOLER, 5432, "session", "supabase.co:5432", id="supabase, sessions"),
        pytest.param(RDS_PROXY, 5432, "session", "endpoint of the instance", id="rds proxy"),
        pytest.param(HEROKU, 5433, "transaction", "DATABASE_URL", id="heroku"),
        pytest.param("shop.postgres.database.azure.com", 6432, "transaction", "port 5432", id="azure"),
        pytest.param("p.abc.db.postgresbridge.com", 5431, "transaction", "port 5432", id="crunchy bridge"),
        pytest.param("a.b.db.ondigitalocean.com", 25061, "transaction", "25060", id="digitalocean"),
        pytest.param(NEON, 5432, None, "", id="neon directly"),
        pytest.param(SUPABASE, 5432, None, "", id="supabase directly"),
        pytest.param(RDS, 5432, None, "", id="rds directly"),
        pytest.param("my-pooler.example.com", 6432, None, "", id="pooler in the name of another host"),
    ],
)
def test_T16_a_pooler_is_recognised_by_its_address(host: str, port: int, mode: str | None, instead: str) -> None:
    pooler = find_pooler(host, port)
    assert (pooler and pooler.mode) == mode
    assert instead in (pooler.instead if pooler else "")


@pytest.mark.parametrize(
    ("host", "words"),
    [
        pytest.param(SUPABASE, "session pooler's URL (….pooler.supabase.com:5432", id="supabase"),
        pytest.param(NEON, "needs some seconds to start", id="neon"),
        pytest.param("postgres.railway.internal", "DATABASE_PUBLIC_URL", id="railway"),
    ],
)
def test_T18_an_unreachable_host_of_a_provider_has_a_hint(host: str, words: str) -> None:
    assert words in (find_host_hint(host) or "")


def test_a_host_without_a_provider_has_no_hint() -> None:
    assert find_host_hint("db.example.com") is None


def test_a_providers_own_schemas_and_extensions_are_found() -> None:
    row = find_provider(SUPABASE)
    assert find_provider_schemas(row, ["public", "auth", "storage", "shop"]) == ["auth", "storage"]
    assert find_provider_extensions(row, ["vector", "pg_net", "supabase_vault"]) == ["pg_net", "supabase_vault"]
    assert find_provider_extensions(row, ["pg_net", "supabase_vault"], required=["pg_net"]) == ["supabase_vault"]
    unknown = find_provider("db.example.com")
    assert find_provider_schemas(unknown, ["auth"]) == find_provider_extensions(unknown, ["pg_net"]) == []


def test_each_provider_of_the_spec_has_rules() -> None:
    assert {row.provider for row in PROVIDERS} == set(Provider) - {Provider.AUTO, Provider.NONE}
    assert all(row.schemas.isdisjoint({"public", "pg_catalog"}) for row in PROVIDERS)
