"""Who hosts a source: a host and what its catalogues show come in; what is the provider's own, and what to use instead
of a pooler, goes out. Pure.

One row a provider: to know another one, add a row (and its name to `spec.Provider`).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pgimport.model.spec import Provider

TRANSACTION, SESSION = "transaction", "session"


@dataclass(frozen=True, slots=True)
class ProviderFingerprint:
    """What of a server's catalogues tells its provider; in a row: any one of them is enough."""

    schemas: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    extensions: frozenset[str] = frozenset()
    settings: frozenset[str] = frozenset()

    def touch(self, other: "ProviderFingerprint") -> bool:
        """They have a name in common."""
        return bool(
            self.schemas & other.schemas
            or self.roles & other.roles
            or self.extensions & other.extensions
            or self.settings & other.settings
        )


@dataclass(frozen=True, slots=True)
class Pooler:
    """Hosts (and a port, where it decides) behind which a pooler sits."""

    host: str  # pattern, matched against the whole name
    mode: str
    instead: str  # for a person; \1, \2: groups of the pattern
    port: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRules:
    """All that is known of one provider."""

    provider: Provider
    title: str
    hosts: tuple[str, ...] = ()  # patterns, matched against the whole name
    signs: ProviderFingerprint = ProviderFingerprint()
    schemas: frozenset[str] = frozenset()  # its own: they stay behind
    extensions: frozenset[str] = frozenset()  # its own, or of no use elsewhere: they stay behind
    poolers: tuple[Pooler, ...] = ()
    proxied: bool = False  # its direct endpoint is a proxy too, which keeps one session to one backend
    hint: str | None = None  # when it cannot be reached


# Heroku stands before RDS, for its newer plans live there.
PROVIDERS: tuple[ProviderRules, ...] = (
    ProviderRules(
        provider=Provider.NEON,
        title="Neon",
        hosts=(r".*\.neon\.tech", r".*\.neon\.build"),
        signs=ProviderFingerprint(
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
        hint="a Neon compute that sleeps needs some seconds to wake: try again",
    ),
    ProviderRules(
        provider=Provider.SUPABASE,
        title="Supabase",
        hosts=(r"db\..*\.supabase\.(co|red)", r".*\.pooler\.supabase\.com"),
        signs=ProviderFingerprint(roles=frozenset({"supabase_admin"}), extensions=frozenset({"supabase_vault"})),
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
            Pooler(r".*\.pooler\.supabase\.com", SESSION, "db.<project ref>.supabase.co:5432 where IPv6 is to be had"),
        ),
        hint="a Supabase project's own host (db.<project ref>.supabase.co) has only an IPv6 address unless it bought"
        " an IPv4 one: use the session pooler's URL (….pooler.supabase.com:5432, user postgres.<project ref>);"
        " a paused project must be resumed first",
    ),
    ProviderRules(
        provider=Provider.HEROKU,
        title="Heroku",
        hosts=(r"ec2-.*\.compute(-1)?\.amazonaws\.com",),
        signs=ProviderFingerprint(schemas=frozenset({"heroku_ext", "_heroku"})),
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
        signs=ProviderFingerprint(
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
        hint="an RDS instance is reached from outside only where it is publicly accessible and its security group"
        " lets the cluster's address in; a paused Aurora Serverless needs some seconds to resume",
    ),
    ProviderRules(
        provider=Provider.RENDER,
        title="Render",
        hosts=(r".*-postgres\.render\.com",),
        extensions=frozenset({"pg_cron"}),
        hint="use the External Database URL, and let the cluster's address through the database's access control",
    ),
    ProviderRules(
        provider=Provider.RAILWAY,
        title="Railway",
        hosts=(r".*\.proxy\.rlwy\.net", r".*\.railway\.(app|internal)"),
        extensions=frozenset({"pg_cron"}),
        hint="use DATABASE_PUBLIC_URL: names under railway.internal are known only within the project",
    ),
)
UNKNOWN = ProviderRules(provider=Provider.NONE, title="no known provider")
ALL_FINGERPRINTS = ProviderFingerprint(
    schemas=frozenset(name for row in PROVIDERS for name in row.signs.schemas),
    roles=frozenset(name for row in PROVIDERS for name in row.signs.roles),
    extensions=frozenset(name for row in PROVIDERS for name in row.signs.extensions),
    settings=frozenset(name for row in PROVIDERS for name in row.signs.settings),
)


def find_provider(
    host: str | None, signs: ProviderFingerprint | None = None, wished: Provider = Provider.AUTO
) -> ProviderRules:
    """The user's word counts first, then the catalogues (none of a dump file's host), then the host's name."""
    if wished is not Provider.AUTO:
        return next((row for row in PROVIDERS if row.provider is wished), UNKNOWN)
    if signs is not None and (found := next((row for row in PROVIDERS if row.signs.touch(signs)), None)):
        return found
    return next((row for row in PROVIDERS if host is not None and _matches(row.hosts, host)), UNKNOWN)


def find_provider_schemas(row: ProviderRules, present: Iterable[str]) -> list[str]:
    """Of the schemas that are there, the provider's own: they and all in them stay behind."""
    return sorted(row.schemas.intersection(present))


def find_provider_extensions(row: ProviderRules, present: Iterable[str], wanted: Iterable[str] = ()) -> list[str]:
    """Of the extensions that are there, the provider's own; never one that the target is `wanted` to have."""
    return sorted(row.extensions.intersection(present).difference(wanted))


@dataclass(frozen=True, slots=True)
class PoolerMatch:
    """A pooler that is known by its address."""

    title: str
    mode: str
    instead: str


def find_pooler(host: str, port: int) -> PoolerMatch | None:
    """Whatever the provider is said to be: a host's name decides."""
    name = _normalise(host)
    for row in PROVIDERS:
        for pooler in row.poolers:
            match = re.fullmatch(pooler.host, name)
            if match is not None and pooler.port in (None, port):
                return PoolerMatch(row.title, pooler.mode, match.expand(pooler.instead))
    return None


def hint_for_host(host: str) -> str | None:
    """What usually is the matter when a host of this provider cannot be reached."""
    return find_provider(host).hint


def _matches(patterns: Iterable[str], host: str) -> bool:
    return any(re.fullmatch(pattern, _normalise(host)) for pattern in patterns)


def _normalise(host: str) -> str:
    return host.lower().rstrip(".")
