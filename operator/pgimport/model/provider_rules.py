"""Lists the known providers of PostgreSQL with their own objects and their poolers. Pure.

To support another provider, add an entry to PROVIDERS and its name to `import_choices.Provider`.
"""

from dataclasses import dataclass

from pgimport.model.import_choices import Provider

TRANSACTION, SESSION = "transaction", "session"


@dataclass(frozen=True, slots=True)
class ProviderFingerprint:
    """Names in one database by which a provider is detected. One match is enough.

    Contains no roles, because roles belong to the whole server: restoring a dump with its roles creates the
    provider's roles on other servers too.
    """

    schemas: frozenset[str] = frozenset()
    extensions: frozenset[str] = frozenset()
    settings: frozenset[str] = frozenset()  # first parts of the names of settings: `rds` of `rds.extensions`

    def intersects(self, other: "ProviderFingerprint") -> bool:
        """Says whether both have a name in common."""
        return bool(
            self.schemas & other.schemas or self.extensions & other.extensions or self.settings & other.settings
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
            schemas=frozenset({"neon_auth", "neon_control_plane", "neon_migration"}),
            extensions=frozenset({"neon", "pg_session_jwt"}),
            settings=frozenset({"neon"}),
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
        fingerprint=ProviderFingerprint(
            schemas=frozenset({"_supavisor", "supabase_functions", "supabase_migrations"}),
            extensions=frozenset({"pg_graphql", "supabase-dbdev", "supabase_vault"}),
            settings=frozenset({"supautils"}),
        ),
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
            extensions=frozenset({"apg_plan_mgmt", "aws_commons", "aws_lambda", "aws_ml", "aws_s3", "rds_tools"}),
            settings=frozenset({"rds"}),
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
    # The rules below come from the providers' documentation. They could not be tried at the provider.
    ProviderRules(
        provider=Provider.ALLOYDB,
        title="AlloyDB",
        hosts=(r".*\.alloydb(-psc)?\.goog",),
        fingerprint=ProviderFingerprint(
            extensions=frozenset({"alloydb_ai_nl", "alloydb_scann", "google_columnar_engine", "google_db_advisor"}),
            settings=frozenset({"alloydb", "google_columnar_engine", "google_db_advisor"}),
        ),
        extensions=frozenset(
            {
                "alloydb_ai_nl",
                "alloydb_scann",
                "g_stats",
                "google_columnar_engine",
                "google_db_advisor",
                "google_insights",
                "google_job_scheduler",
                "google_ml_integration",
                "google_storage",
                "hypopg",
                "pg_cron",
            }
        ),
        poolers=(Pooler(r"(.*\.alloydb(-psc)?\.goog)", TRANSACTION, r"the same URL with port 5432 (\1:5432)", 6432),),
        hint="an AlloyDB instance can be reached from outside its network only with public IP or Private Service"
        " Connect, and from authorized networks: allow the cluster's address",
    ),
    ProviderRules(
        provider=Provider.CLOUD_SQL,
        title="Cloud SQL",
        hosts=(r".*\.sql(-psa|-psc)?\.goog",),
        fingerprint=ProviderFingerprint(extensions=frozenset({"google_vacuum_mgmt"}), settings=frozenset({"cloudsql"})),
        extensions=frozenset({"google_ml_integration", "google_vacuum_mgmt", "pg_cron", "pg_proctab"}),
        poolers=(Pooler(r"(.*\.sql(-psa|-psc)?\.goog)", TRANSACTION, r"the same URL with port 5432 (\1:5432)", 6432),),
        hint="a Cloud SQL instance accepts only authorized networks: allow the cluster's address, or run the Cloud SQL"
        " Auth Proxy and allow its address in spec.sources",
    ),
    ProviderRules(
        provider=Provider.AZURE,
        title="Azure Database for PostgreSQL",
        hosts=(
            r".*\.postgres\.database\.(azure\.com|usgovcloudapi\.net|chinacloudapi\.cn)",
            r".*\.postgres\.cosmos\.azure\.com",
        ),
        fingerprint=ProviderFingerprint(
            extensions=frozenset({"azure", "azure_ai", "azure_storage", "pgaadauth"}), settings=frozenset({"azure"})
        ),
        extensions=frozenset(
            {
                "azure",
                "azure_ai",
                "azure_local_ai",
                "azure_maintenance",
                "azure_storage",
                "pg_availability",
                "pg_cron",
                "pg_failover_slots",
                "pg_qs",
                "pgaadauth",
                "pgms_stats",
                "pgms_wait_sampling",
            }
        ),
        poolers=(
            Pooler(
                r"(.*\.postgres\.database\..*)",
                TRANSACTION,
                r"the same URL with port 5432 (\1:5432), which is not the built-in PgBouncer",
                6432,
            ),
        ),
        hint="an Azure server accepts only addresses of its firewall rules: add the cluster's address",
    ),
    ProviderRules(
        provider=Provider.DIGITALOCEAN,
        title="DigitalOcean",
        hosts=(r".*\.db\.ondigitalocean\.com",),
        extensions=frozenset({"aiven_extras", "aiven_gatekeeper", "pg_cron", "pg_stat_monitor"}),
        poolers=(
            Pooler(
                r"(.*\.db\.ondigitalocean\.com)",
                TRANSACTION,
                r"the database's own connection string, with port 25060 (\1:25060) instead of the pool's",
                25061,
            ),
        ),
        hint="a DigitalOcean database accepts only its trusted sources: add the cluster's address",
    ),
    ProviderRules(
        provider=Provider.TIMESCALE,
        title="Timescale Cloud",
        hosts=(r".*\.tsdb\.(cloud|forge)\.timescale\.com", r".*\.a\.timescaledb\.io"),
        fingerprint=ProviderFingerprint(
            schemas=frozenset({"_osm_catalog", "_osm_internal"}),
            extensions=frozenset({"timescaledb_osm"}),
            settings=frozenset({"timescaledb_osm"}),
        ),
        schemas=frozenset({"_osm_catalog", "_osm_internal"}),
        extensions=frozenset({"pg_cron", "timescaledb_osm"}),
        hint="a Timescale service that is paused must be resumed first",
    ),
    ProviderRules(
        provider=Provider.AIVEN,
        title="Aiven",
        hosts=(r".*\.aivencloud\.com",),
        fingerprint=ProviderFingerprint(
            extensions=frozenset({"aiven_extras", "aiven_gatekeeper"}), settings=frozenset({"aiven"})
        ),
        extensions=frozenset({"aiven_extras", "aiven_gatekeeper", "pg_cron", "pg_stat_monitor"}),
        hint="an Aiven service accepts only its allowed IP addresses: add the cluster's address",
    ),
    ProviderRules(
        provider=Provider.CRUNCHY_BRIDGE,
        title="Crunchy Bridge",
        hosts=(r"p\..*\.db\.postgresbridge\.com",),
        fingerprint=ProviderFingerprint(
            extensions=frozenset(
                {"crunchy_iceberg", "crunchy_lake", "crunchy_map", "crunchy_pooler", "crunchy_spatial_analytics"}
            ),
            settings=frozenset({"crunchy_iceberg", "crunchy_lake"}),
        ),
        extensions=frozenset(
            {
                "crunchy_base",
                "crunchy_copy",
                "crunchy_iceberg",
                "crunchy_lake",
                "crunchy_map",
                "crunchy_pooler",
                "crunchy_query_engine",
                "crunchy_spatial_analytics",
                "pg_cron",
                "pgnodemx",
            }
        ),
        poolers=(
            Pooler(r"(p\..*\.db\.postgresbridge\.com)", TRANSACTION, r"the same URL with port 5432 (\1:5432)", 5431),
        ),
        hint="a Crunchy Bridge cluster accepts only addresses of its firewall rules: add the cluster's address",
    ),
)
UNKNOWN = ProviderRules(provider=Provider.NONE, title="no known provider")
