"""Lists extensions that an import skips at every provider. Pure."""

_STATISTICS = "it shows statistics of a server, which a copy does not have"
_INSPECTION = "it inspects or repairs files of a server"
_SERVER = "it belongs to the operation of a server, not to the data"
_REPLICATION = "a copy must not take part in replication"
_JOBS = "a copy must not run scheduled jobs"
_DEBUGGING = "it is a tool for developing functions"
# Extensions that have no use in a copy → why. An object that needs one of them makes the import try it.
WITHOUT_USE_IN_A_COPY = {
    **dict.fromkeys(
        (
            "pg_buffercache",
            "pg_profile",
            "pg_proctab",
            "pg_qualstats",
            "pg_sentinel",
            "pg_stat_kcache",
            "pg_stat_monitor",
            "pg_stat_statements",
            "pg_store_plans",
            "pg_track_settings",
            "pg_wait_sampling",
            "pgnodemx",
            "powa",
            "pg_stat_plans",
            "system_stats",
        ),
        _STATISTICS,
    ),
    **dict.fromkeys(
        (
            "amcheck",
            "old_snapshot",
            "pageinspect",
            "pg_freespacemap",
            "pg_logicalinspect",
            "pg_overexplain",
            "pg_surgery",
            "pg_visibility",
            "pg_walinspect",
            "pgrowlocks",
            "pgstattuple",
        ),
        _INSPECTION,
    ),
    **dict.fromkeys(
        (
            "adminpack",
            "credcheck",
            "hypopg",
            "index_advisor",
            "login_hook",
            "passwordcheck",
            "pg_auth_mon",
            "pg_catcheck",
            "pg_hint_plan",
            "pg_prewarm",
            "pg_readonly",
            "pg_repack",
            "pg_squeeze",
            "pgaudit",
            "pgauditlogtofile",
            "pgextwlist",
            "set_user",
            "sslinfo",
            "supautils",
        ),
        _SERVER,
    ),
    **dict.fromkeys(("bdr", "pg_failover_slots", "pgactive", "pglogical", "repmgr", "spock"), _REPLICATION),
    **dict.fromkeys(("pg_cron", "pg_timetable", "pgagent"), _JOBS),
    **dict.fromkeys(("pldbgapi", "plpgsql_check", "plprofiler"), _DEBUGGING),
}
LEADS_ELSEWHERE = "it leads to another server"
_FOREIGN = frozenset({"multicorn", "multicorn2", "pg_analytics", "steampipe_postgres", "wrappers"})
# Extensions whose functions connect to other servers. The import tries them, and does without a refused one.
_CONNECTING = frozenset({"dblink", "http", "pg_net", "plproxy"})


def is_foreign_data_wrapper(extension: str) -> bool:
    """Says whether an extension is a foreign-data wrapper. It is skipped with its servers and tables."""
    return extension in _FOREIGN or extension.endswith("_fdw")


def is_dispensable(extension: str) -> bool:
    """Says whether an import does without an extension even if objects need it: those are then skipped too."""
    return extension in WITHOUT_USE_IN_A_COPY or extension in _CONNECTING
