"""Lists the known providers of PostgreSQL with their own objects and their poolers, and detects a source's provider.

To support another provider, add an entry to PROVIDERS and its name to `import_choices.Provider`. Pure.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pgimport.model.import_choices import Provider

TRANSACTION, SESSION = "transaction", "session"


@dataclass(frozen=True, slots=True)
class ProviderFingerprint:
    """Names in a server's catalogs by which a provider is detected. One match is enough."""

    schemas: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    extensions: frozenset[str] = frozenset()
    settings: frozenset[str] = frozenset()

    def intersects(self, other: "ProviderFingerprint") -> bool:
        """Says whether both have a name in common."""
        return bool(
            self.schemas & other.schemas
            or self.roles & other.roles
            or self.extensions & other.extensions
            or self.settings & other.settings
        )


@dataclass(frozen=True, slots=True)
class Pooler:
    """Hosts, and optionally the port, that lead to a pooler."""

    host: str  # pattern that must match the whole host name
    mode: str
    instead: str  # what to use instead of the pooler; \1 and \2 are groups of the pattern
    port: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRules:
    """Rules for one provider."""

    provider: Provider
    title: str
    hosts: tuple[str, ...] = ()  # patterns that must match the whole host name
    fingerprint: ProviderFingerprint = ProviderFingerprint()
    schemas: frozenset[str] = frozenset()  # its own schemas, which an import skips
    extensions: frozenset[str] = frozenset()  # extensions that are useful only at this provider; an import skips them
    poolers: tuple[Pooler, ...] = ()
    proxied: bool = False  # its direct endpoint is a proxy that keeps each session on one backend
    hint: str | None = None  # what to do if a host of the provider cannot be reached


# Heroku comes before RDS, because its newer plans run there.
PROVIDERS: tuple[ProviderRules, ...] = (
    ProviderRules(
        provider=Provider.NEON,
        title="Neon",
        hosts=(r".*\.neon\.tech", r".*\.neon\.build"),
        fingerprint=ProviderFingerprint(
            roles=frozenset({"neon_superuser"}),
            extensions=frozenset({"neon"}),
            settings=frozenset({"neon.timeline_id"}),
        ),
        schemas=frozenset({"neon", "neon_auth", "neon_control_plane", "neon_migration"}),
        extensions=frozenset({"neon", "neon_utils", "neon_test_utils", "pg_session_jwt", "pg_cron"}),
        poolers=(
            Pooler(
                r"(.*)-pooler(\..*\.neon\.(tech|build))",
                TRANSACTION,
                r"the same URL with the host \1\2 (without -pooler)",
            ),
        ),
        proxied=True,
        hint="a suspended Neon compute needs some seconds to start: try again",
    ),
    ProviderRules(
        provider=Provider.SUPABASE,
        title="Supabase",
        hosts=(r"db\..*\.supabase\.(co|red)", r".*\.pooler\.supabase\.com"),
        fingerprint=ProviderFingerprint(roles=frozenset({"supabase_admin"}), extensions=frozenset({"supabase_vault"})),
        schemas=frozenset(
            {
                "_analytics",
                "_realtime",
                "_supavisor",
                "auth",
                "cron",
                "etl",
                "extensions",
                "graphql",
                "graphql_public",
                "net",
                "pgbouncer",
                "pgsodium",
                "pgsodium_masks",
                "pgtle",
                "realtime",
                "storage",
                "supabase_functions",
                "supabase_migrations",
                "vault",
            }
        ),
        extensions=frozenset(
            {
                "pg_cron",
                "pg_graphql",
                "pg_net",
                "pg_stat_monitor",
                "pg_tle",
                "pgjwt",
                "pgsodium",
                "plan_filter",
                "supabase-dbdev",
                "supabase_vault",
                "wrappers",
            }
        ),
        poolers=(
            Pooler(
                r".*\.pooler\.supabase\.com",
                TRANSACTION,
                "the session pooler (the same URL with port 5432), or db.<project ref>.supabase.co:5432",
                6543,
            ),
            Pooler(r"(db\..*\.supabase\.co)", TRANSACTION, r"the same URL with port 5432 (\1:5432)", 6543),
            Pooler(r".*\.pooler\.supabase\.com", SESSION, "db.<project ref>.supabase.co:5432 if the cluster has IPv6"),
        ),
        hint="a Supabase project's own host (db.<project ref>.supabase.co) has only an IPv6 address, unless the"
        " project has the IPv4 add-on: use the session pooler's URL (….pooler.supabase.com:5432, user"
        " postgres.<project ref>); resume a paused project first",
    ),
    ProviderRules(
        provider=Provider.HEROKU,
        title="Heroku",
        hosts=(r"ec2-.*\.compute(-1)?\.amazonaws\.com",),
        fingerprint=ProviderFingerprint(schemas=frozenset({"heroku_ext", "_heroku"})),
        schemas=frozenset({"heroku_ext", "_heroku"}),
        extensions=frozenset({"pg_cron"}),
        poolers=(
            Pooler(
                r"ec2-.*\.compute(-1)?\.amazonaws\.com",
                TRANSACTION,
                "the add-on's DATABASE_URL (port 5432), not DATABASE_CONNECTION_POOL_URL",
                5433,
            ),
        ),
    ),
    ProviderRules(
        provider=Provider.RDS,
        title="Amazon RDS",
        hosts=(r".*\.rds\.amazonaws\.com(\.cn)?",),
        fingerprint=ProviderFingerprint(
            roles=frozenset({"rds_superuser", "rdsadmin"}), settings=frozenset({"rds.extensions"})
        ),
        schemas=frozenset({"apg_plan_mgmt", "aws_commons", "aws_lambda", "aws_ml", "aws_s3", "cron", "rds_tools"}),
        extensions=frozenset(
            {
                "apg_plan_mgmt",
                "aurora_stat_utils",
                "aws_commons",
                "aws_lambda",
                "aws_ml",
                "aws_s3",
                "log_fdw",
                "pg_cron",
                "pg_tle",
                "rds_tools",
            }
        ),
        poolers=(
            Pooler(
                r".*\.proxy-[^.]*\..*\.rds\.amazonaws\.com(\.cn)?",
                SESSION,
                "the endpoint of the instance (or the cluster's writer) behind the RDS proxy",
            ),
        ),
        hint="an RDS instance can be reached from outside only if it is publicly accessible and its security group"
        " allows the cluster's address; a paused Aurora Serverless needs some seconds to resume",
    ),
    ProviderRules(
        provider=Provider.RENDER,
        title="Render",
        hosts=(r".*-postgres\.render\.com",),
        extensions=frozenset({"pg_cron"}),
        hint="use the External Database URL, and allow the cluster's address in the database's access control",
    ),
    ProviderRules(
        provider=Provider.RAILWAY,
        title="Railway",
        hosts=(r".*\.proxy\.rlwy\.net", r".*\.railway\.(app|internal)"),
        extensions=frozenset({"pg_cron"}),
        hint="use DATABASE_PUBLIC_URL: names under railway.internal can be resolved only within the project",
    ),
)
UNKNOWN = ProviderRules(provider=Provider.NONE, title="no known provider")
ALL_FINGERPRINTS = ProviderFingerprint(
    schemas=frozenset(name for row in PROVIDERS for name in row.fingerprint.schemas),
    roles=frozenset(name for row in PROVIDERS for name in row.fingerprint.roles),
    extensions=frozenset(name for row in PROVIDERS for name in row.fingerprint.extensions),
    settings=frozenset(name for row in PROVIDERS for name in row.fingerprint.settings),
)


def find_provider(
    host: str | None, fingerprint: ProviderFingerprint | None = None, choice: Provider = Provider.AUTO
) -> ProviderRules:
    """Returns the user's choice, else the provider detected by the catalogs, else by the host name."""
    if choice is not Provider.AUTO:
        return next((row for row in PROVIDERS if row.provider is choice), UNKNOWN)
    if fingerprint is not None and (
        provider := next((row for row in PROVIDERS if row.fingerprint.intersects(fingerprint)), None)
    ):
        return provider
    return next((row for row in PROVIDERS if host is not None and _matches(row.hosts, host)), UNKNOWN)


def find_provider_schemas(row: ProviderRules, present: Iterable[str]) -> list[str]:
    """Returns which of the present schemas are the provider's own. An import skips them and all objects in them."""
    return sorted(row.schemas.intersection(present))


def find_provider_extensions(row: ProviderRules, present: Iterable[str], required: Iterable[str] = ()) -> list[str]:
    """Returns which of the present extensions are the provider's own, except those that the target must have."""
    return sorted(row.extensions.intersection(present).difference(required))


@dataclass(frozen=True, slots=True)
class PoolerMatch:
    """Pooler that was recognised by its address, and what to use instead."""

    title: str
    mode: str
    instead: str


def find_pooler(host: str, port: int) -> PoolerMatch | None:
    """Returns the pooler at an address, or None. The host name decides, whatever the provider of the import is."""
    name = _normalise(host)
    for row in PROVIDERS:
        for pooler in row.poolers:
            match = re.fullmatch(pooler.host, name)
            if match is not None and pooler.port in (None, port):
                return PoolerMatch(row.title, pooler.mode, match.expand(pooler.instead))
    return None


def find_host_hint(host: str) -> str | None:
    """Returns what to do if a host of this provider cannot be reached."""
    return find_provider(host).hint


def _matches(patterns: Iterable[str], host: str) -> bool:
    return any(re.fullmatch(pattern, _normalise(host)) for pattern in patterns)


def _normalise(host: str) -> str:
    return host.lower().rstrip(".")
