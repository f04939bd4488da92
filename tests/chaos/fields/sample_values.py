"""Lists sample values that the schema does not contain, and the reasons that they lead to.

Every text without a pattern, every pattern, every format and every CEL rule needs an entry here. A test fails if one is
missing.
"""

from dataclasses import dataclass, field
from typing import Any

from pgimport.model.cron_text import CRON_RULE, ZONE_RULE
from pgimport.model.import_spec import (
    AMOUNT_PATTERN,
    BUILTIN_LOCALE_NEEDED,
    BUILTIN_ONLY,
    ICU_LOCALE_NEEDED,
    ICU_ONLY,
    LONGEST_TIMEOUT,
)
from pgimport.model.pod_template import ANNOTATION_RULE, LABEL_RULE
from pgimport.model.preview_spec import TTL_RULE
from pgimport.model.project_spec import NAMESPACE_RULE, ONE_PRIMARY
from pgimport.model.scalar_types import DURATION_PATTERN, QUANTITY_PATTERN, SPEC_TIME_PATTERN, duration_rule
from pgimport.model.schedule_spec import JITTER_RULE, NOT_CANCELLED
from pgimport.model.string_types import (
    DNS_LABEL_PATTERN,
    DNS_SUBDOMAIN_PATTERN,
    EXTENSION_PATTERN,
    HOST_PATTERN_RULE,
    HOST_RULE,
    LABELLED_NAME_PATTERN,
    NETWORK_RULE,
    ONE_LINE_PATTERN,
    WEBHOOK_URL_RULE,
    WITHOUT_NUL_PATTERN,
)
from pgimport.model.webhooks import UNIQUE_NAMES

PROJECT = "chaos-fields"
SOURCE_SECRET, CA_SECRET, SCRIPT = "fields-source", "fields-ca", "fields-sql"
SHA256 = r"^[0-9a-f]{64}$"
ODD_TEXT = "a \"b\" 'c' \\d $e %f;\t\N{LATIN SMALL LETTER U WITH DIAERESIS}\n--"


class Absent:
    """The value of a field that is removed."""

    def __repr__(self) -> str:
        return "missing"


ABSENT = Absent()


@dataclass(frozen=True)
class SampleValue:
    """A valid value. `reasons` of the condition Ready are set if they differ from those of the field."""

    value: Any
    reasons: tuple[str, ...] = ()
    other_fields: dict[str, Any] = field(default_factory=dict)  # other fields that must change with it


# Reason of each kind when nothing is wrong with it.
HEALTHY = {
    "Project": ("Ready",),
    "PreviewDatabase": ("Ready",),
    "PostgresImport": ("Queued",),
    "PostgresImportSchedule": ("Scheduled",),
}

_TOO_LARGE = ("Queued", "InvalidSpec")
VALUES_OF_PATTERNS: dict[str, tuple[SampleValue, ...]] = {
    DNS_LABEL_PATTERN: (SampleValue("a"), SampleValue("0--9"), SampleValue("x" * 63)),
    DNS_SUBDOMAIN_PATTERN: (SampleValue("a"), SampleValue("a.b-c.0"), SampleValue("x" * 253)),
    LABELLED_NAME_PATTERN: (SampleValue("a"), SampleValue("a.b-c.0"), SampleValue("x" * 63)),
    DURATION_PATTERN: (SampleValue("1h30m"), SampleValue("90m0s"), SampleValue("1h" + "0s" * 15)),
    QUANTITY_PATTERN: (SampleValue("1.5Gi"), SampleValue("20000M"), SampleValue(2**40), SampleValue("1P")),
    AMOUNT_PATTERN: (SampleValue("1.5Gi"), SampleValue("2000M"), SampleValue(2**30), SampleValue("1073741824000m")),
    EXTENSION_PATTERN: (SampleValue("x"), SampleValue("x" * 63)),
    SHA256: (SampleValue("0" * 64), SampleValue("0123456789abcdef" * 4)),
}
VALUES_OF_FORMATS: dict[str, tuple[SampleValue, ...]] = {
    "date-time": (
        SampleValue("2026-01-01T00:00:00Z"),
        SampleValue("2026-01-01T00:00:00.123456+05:30"),
        SampleValue("2000-01-01T00:00:00+14:00"),
        SampleValue("2999-12-31T23:59:59-12:00"),
    ),
}
# Values that match the pattern and that a rule must refuse.
FORBIDDEN_DESPITE_PATTERN: dict[str, tuple[Any, ...]] = {
    DURATION_PATTERN: ("0s", "0h0m", "9" * 20 + "h", "9" * 31 + "s", "169h"),
    QUANTITY_PATTERN: (-1,),
    AMOUNT_PATTERN: (-1,),
    SPEC_TIME_PATTERN: ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00"),
    ONE_LINE_PATTERN: ("a\x00b", "a\nb"),
    WITHOUT_NUL_PATTERN: ("a\x00b",),
}
# Patterns that allow nearly every text.
FREE_TEXT_PATTERNS = (ONE_LINE_PATTERN, WITHOUT_NUL_PATTERN)

_MISSING = ("SourceSecretMissing",)
_CLONE = {"mode": "clone"}
WEBHOOK = {"name": "ci", "url": "https://hooks.example.com", "secretRef": {"name": "a", "key": "key"}}
_UPLOAD = {"source.urlSecretRef": ABSENT}
_ICU = {"target.locale.provider": "icu", "target.locale.icuLocale": "und"}
# Kind and field → values. The first one leaves the object healthy or names the reason it leads to.
VALUES: dict[tuple[str, str], tuple[SampleValue, ...]] = {
    ("Project", "organizationID"): (SampleValue("acme"),),
    ("Project", "server.clusterID"): (SampleValue("eu-1"),),
    ("Project", "server.host"): (
        SampleValue("pgimport-server.pgimport-system.svc.cluster.local"),
        SampleValue("127.0.0.1", ("ServerUnreachable",)),
        SampleValue("x" * 63 + ".example.invalid", ("ServerUnreachable",)),
        SampleValue("::1", ("ServerUnreachable",)),
        SampleValue("nowhere.invalid", ("ServerUnreachable",)),
    ),
    ("Project", "server.templates[]"): (SampleValue("no_such_template"),),
    ("Project", "server.adminSecretRef.name"): (SampleValue("pgimport-server-admin"),),
    ("Project", "server.adminSecretRef.userKey"): (SampleValue("user"), SampleValue("password")),
    ("Project", "server.adminSecretRef.passwordKey"): (SampleValue("password"), SampleValue("user")),
    ("Project", "allowedExtensions[]"): (SampleValue("vector"), SampleValue("no_such_extension")),
    ("Project", "sources.allowedCIDRs[]"): (
        SampleValue("10.0.0.0/8"),
        SampleValue("fd00::/8"),
        SampleValue("192.0.2.1"),
    ),
    ("Project", "sources.allowedHosts[]"): (SampleValue("db.example.internal"), SampleValue("*.example.internal")),
    ("Project", "storageLimitBytes"): (SampleValue("0"), SampleValue("9" * 31 + "P")),
    ("Project", "primary.urlSecretRef.key"): (SampleValue("url"),),
    ("Project", "webhooks[].url"): (
        SampleValue("https://hooks.example.invalid/x"),
        SampleValue("https://[::1]:8443/?token=1"),
    ),
    ("Project", "webhooks[].secretRef.key"): (SampleValue("key"),),
    ("Project", "webhooks[].caSecretRef.key"): (SampleValue("ca.crt"),),
    ("PreviewDatabase", "ttl"): (SampleValue("168h"), SampleValue("1s", ("Expired",))),
    ("PostgresImport", "source.urlSecretRef.name"): (SampleValue(SOURCE_SECRET, ("Queued",)),),
    ("PostgresImport", "source.urlSecretRef.key"): (SampleValue("url", ("Queued",)),),
    ("PostgresImport", "source.uploadKey"): (SampleValue(f"{PROJECT}/{'0' * 32}"), SampleValue("other/key")),
    ("PostgresImport", "source.caSecretRef.name"): (SampleValue(CA_SECRET, ("Queued",)),),
    ("PostgresImport", "source.caSecretRef.key"): (SampleValue("ca.crt", ("Queued",)),),
    ("PostgresImport", "postImport.sqlConfigMapRef.name"): (SampleValue(SCRIPT, ("Queued",)),),
    ("PostgresImport", "postImport.sqlConfigMapRef.key"): (SampleValue("mask.sql", ("Queued",)),),
    ("PostgresImport", "filter.includeSchemas[]"): (SampleValue("public"), SampleValue("app_*")),
    ("PostgresImport", "filter.excludeSchemas[]"): (SampleValue("audit"),),
    ("PostgresImport", "filter.excludeTables[]"): (SampleValue("public.sessions"),),
    ("PostgresImport", "filter.excludeTableData[]"): (SampleValue("public.log_*"),),
    ("PostgresImport", "filter.excludeExtensions[]"): (SampleValue("pg_stat_statements"),),
    ("PostgresImport", "target.locale.provider"): (
        SampleValue("libc"),
        SampleValue("icu", other_fields={"target.locale.icuLocale": "und"}),
        SampleValue("builtin", other_fields={"target.locale.builtinLocale": "C.UTF-8"}),
    ),
    ("PostgresImport", "target.locale.lcCollate"): (SampleValue("C"),),
    ("PostgresImport", "target.locale.lcCtype"): (SampleValue("C"),),
    ("PostgresImport", "target.locale.icuLocale"): (SampleValue("und"),),
    ("PostgresImport", "target.locale.icuRules"): (SampleValue("&a < g"),),
    ("PostgresImport", "target.locale.builtinLocale"): (SampleValue("C.UTF-8"),),
    # The import may have to wait for longer than a second for a slot.
    ("PostgresImport", "pendingTimeout"): (SampleValue("144h"), SampleValue("1s", ("Queued", "PendingTimeout"))),
    ("PostgresImport", "timeout"): (SampleValue("144h"), SampleValue("1s", ("Queued", "DeadlineExceeded"))),
    ("PostgresImport", "startTimeout"): (SampleValue("144h"), SampleValue("1s")),
    ("PostgresImport", "stallTimeout"): (SampleValue("144h"), SampleValue("1s")),
    ("PostgresImport", "scratch.storageClassName"): (SampleValue("fast"),),
    # More than any node has, and more than Kubernetes can represent.
    ("PostgresImport", "scratch.size"): (SampleValue("9" * 31 + "P", _TOO_LARGE),),
    ("PostgresImport", "resources.limits.cpu"): (SampleValue("2"), SampleValue("9" * 31 + "P", _TOO_LARGE)),
    ("PostgresImport", "resources.limits.memory"): (SampleValue("1Gi"), SampleValue("9" * 31 + "P", _TOO_LARGE)),
    ("PostgresImport", "resources.requests.cpu"): (SampleValue("250m"), SampleValue("9" * 31 + "P", _TOO_LARGE)),
    ("PostgresImport", "resources.requests.memory"): (SampleValue("64Mi"), SampleValue("9" * 31 + "P", _TOO_LARGE)),
}
# No time comes while the changes are tried.
VALUES[("PostgresImportSchedule", "schedule")] = (
    SampleValue("0 0 29 2 *"),
    SampleValue("@yearly"),
    SampleValue("59 23 31 DEC ?"),
    SampleValue("0 0 31 4,6 *", ("InvalidSpec",)),
)
VALUES[("PostgresImportSchedule", "timeZone")] = (
    SampleValue("Europe/Berlin"),
    SampleValue("Etc/GMT+12"),
    SampleValue("Europe/Atlantis", ("InvalidSpec",)),
)
# Kind and field → reasons of all its values that have no reasons of their own.
EXPECTED_REASONS: dict[tuple[str, str], tuple[str, ...]] = {
    ("Project", "server.host"): ("ServerUnreachable",),
    ("Project", "server.port"): ("ServerUnreachable",),
    ("Project", "server.sslmode"): (
        "Ready",
        "ServerUnreachable",
    ),  # depends on the value, because the server has no TLS
    ("Project", "server.adminSecretRef.name"): ("ServerAuthFailed",),
    ("Project", "server.adminSecretRef.userKey"): ("ServerAuthFailed",),
    ("Project", "server.adminSecretRef.passwordKey"): ("ServerAuthFailed",),
    ("PreviewDatabase", "project"): ("ProjectNotFound",),
    ("PreviewDatabase", "mode"): ("Ready", "PrimaryMissing"),
    ("PreviewDatabase", "from.previewDatabase"): ("SourcePreviewNotFound",),
    ("PreviewDatabase", "from.disconnect"): ("SourcePreviewNotFound",),
    ("PreviewDatabase", "renewedAt"): ("Ready", "Expired"),
    ("PostgresImport", "project"): ("ProjectNotFound",),
    ("PostgresImport", "source.urlSecretRef.name"): _MISSING,
    ("PostgresImport", "source.urlSecretRef.key"): _MISSING,
    ("PostgresImport", "source.uploadKey"): ("DumpNotFound", "NotSupported"),
    ("PostgresImport", "source.sha256"): ("DumpNotFound", "NotSupported"),
    ("PostgresImport", "source.caSecretRef.name"): _MISSING,
    ("PostgresImport", "source.caSecretRef.key"): _MISSING,
    ("PostgresImport", "target.previewDatabase"): ("TargetNotFound",),
    ("PostgresImport", "postImport.sqlConfigMapRef.name"): ("ConfigMapMissing",),
    ("PostgresImport", "postImport.sqlConfigMapRef.key"): ("ConfigMapMissing",),
    ("PostgresImportSchedule", "importTemplate.project"): ("ProjectNotFound",),
}
# Kind, field and value → reasons of this value.
EXPECTED_REASONS_OF_VALUES: dict[tuple[str, str, Any], tuple[str, ...]] = {
    ("PreviewDatabase", "renewedAt", "2999-12-31T23:59:59-12:00"): ("InvalidSpec",),
    ("PreviewDatabase", "resetAt", "2999-12-31T23:59:59-12:00"): ("InvalidSpec",),
    ("Project", "server.host", "pgimport-server.pgimport-system.svc.cluster.local"): ("Ready",),
    ("Project", "server.adminSecretRef.name", "pgimport-server-admin"): ("Ready",),
    ("Project", "server.adminSecretRef.userKey", "user"): ("Ready",),
    ("Project", "server.adminSecretRef.passwordKey", "password"): ("Ready",),
    ("PreviewDatabase", "golden", True): ("NoData",),
    ("PostgresImport", "cancel", True): ("Cancelled",),
    ("PostgresImport", "suspend", True): ("Suspended",),
    ("PostgresImportSchedule", "suspend", True): ("Suspended",),
}
# Kind and field → other fields that must change with it.
REQUIRED_CHANGES: dict[tuple[str, str], dict[str, Any]] = {
    ("Project", "primary.previewDatabase"): {"primary.urlSecretRef": ABSENT},
    ("PreviewDatabase", "from.previewDatabase"): _CLONE,
    ("PreviewDatabase", "from.disconnect"): {**_CLONE, "from.previewDatabase": "no-such-preview"},
    ("PostgresImport", "source.uploadKey"): _UPLOAD,
    ("PostgresImport", "source.sha256"): {**_UPLOAD, "source.uploadKey": f"{PROJECT}/{'0' * 32}"},
    ("PostgresImport", "target.locale.icuLocale"): {"target.locale.provider": "icu"},
    ("PostgresImport", "target.locale.icuRules"): _ICU,
    ("PostgresImport", "target.locale.builtinLocale"): {"target.locale.provider": "builtin"},
}
# Kind and field → other fields that must change if it is removed.
REQUIRED_BY_REMOVAL: dict[tuple[str, str], dict[str, Any]] = {
    ("Project", "primary.urlSecretRef"): {"primary.previewDatabase": "no-such-preview"},
    ("Project", "primary.previewDatabase"): {"primary.urlSecretRef": {"name": "no-such-secret", "key": "url"}},
}
TEMPLATE = "importTemplate."  # prefix of the fields of a schedule that are those of an import


def _in_template(fields: dict[str, Any]) -> dict[str, Any]:
    return {f"{TEMPLATE}{name}": value for name, value in fields.items()}


# A schedule does not judge the values of its template, so they do not change its reason.
VALUES |= {
    ("PostgresImportSchedule", f"{TEMPLATE}{name}"): tuple(
        SampleValue(sample.value, other_fields=_in_template(sample.other_fields)) for sample in values
    )
    for (kind, name), values in list(VALUES.items())
    if kind == "PostgresImport"
}
REQUIRED_CHANGES |= {
    ("PostgresImportSchedule", f"{TEMPLATE}{name}"): _in_template(changes)
    for (kind, name), changes in list(REQUIRED_CHANGES.items())
    if kind == "PostgresImport"
}
# Fields that exclude another one, so a complete spec does not have them.
EXCLUDED_FROM_COMPLETE = frozenset(
    (kind, f"{prefix}{field}")
    for kind, prefix in (("PostgresImport", ""), ("PostgresImportSchedule", TEMPLATE))
    for field in (
        "source.uploadKey",
        "source.sha256",
        "cancel",
        "target.locale.icuLocale",
        "target.locale.icuRules",
        "target.locale.builtinLocale",
    )
) | {("PreviewDatabase", "golden"), ("PreviewDatabase", "from"), ("Project", "primary.previewDatabase")}
# Kind and field → values that match its pattern and mean nothing for this field.
FORBIDDEN_VALUES: dict[tuple[str, str], tuple[Any, ...]] = {
    ("PostgresImportSchedule", "schedule"): ("* * * *", "0 24 * * *", "* * * * 7", "@reboot", "TZ=UTC 0 2 * * *"),
    ("PostgresImportSchedule", "timeZone"): ("+02:00", "Europe/", "../etc/passwd"),
    ("PostgresImportSchedule", "importTemplate.cancel"): (True,),
    ("Project", "sources.allowedCIDRs[]"): ("not-a-network", "10.0.0.0/33"),
    ("Project", "sources.allowedHosts[]"): ("https://db.example.com", "*", "a b"),
    ("Project", "server.host"): ("/var/run/postgresql", "one,two", "user@host", "x" * 64, "a\x00b"),
    ("Project", "allowedExtensions[]"): ("a\x00b",),
}
# Message of a CEL rule → fields that break it in a valid spec.
RULE_VIOLATIONS: dict[str, dict[str, Any]] = {
    TTL_RULE: {"ttl": "168h1s"},
    ONE_PRIMARY: {"primary.urlSecretRef": {"name": "a", "key": "url"}, "primary.previewDatabase": "nightly"},
    "from needs mode: clone": {"mode": "empty", "from.previewDatabase": "nightly"},
    "ttl cannot be set if golden is true: a golden preview never expires": {"golden": True, "ttl": "1h"},
    "renewedAt cannot be set if golden is true: a golden preview never expires": {
        "golden": True,
        "renewedAt": "2026-01-01T00:00:00Z",
    },
    "mode must be empty if golden is true: imports fill a golden preview": {"golden": True, "mode": "clone"},
    "target.previewDatabase is required unless dryRun is true": {"target": ABSENT},
    "exactly one of urlSecretRef and uploadKey must be set": {"source.uploadKey": "two/ways"},
    "cancel never goes back to false: create a new import": {"cancel": False},
    duration_rule("pendingTimeout", LONGEST_TIMEOUT): {"pendingTimeout": "144h1s"},
    duration_rule("timeout", LONGEST_TIMEOUT): {"timeout": "145h"},
    duration_rule("startTimeout", LONGEST_TIMEOUT): {"startTimeout": "144h1s"},
    duration_rule("stallTimeout", LONGEST_TIMEOUT): {"stallTimeout": "0m"},
    ICU_LOCALE_NEEDED: {"target.locale.provider": "icu"},
    BUILTIN_LOCALE_NEEDED: {"target.locale.provider": "builtin"},
    ICU_ONLY: {"target.locale.icuLocale": "und"},
    BUILTIN_ONLY: {"target.locale.builtinLocale": "C.UTF-8"},
    HOST_RULE: {"server.host": "one,two"},
    HOST_PATTERN_RULE: {"sources.allowedHosts": ["*.example.com", "*"]},
    WEBHOOK_URL_RULE: {"webhooks": [WEBHOOK | {"url": "https://user:secret@hooks.example.com/"}]},
    UNIQUE_NAMES: {"webhooks": [WEBHOOK, WEBHOOK]},
    NETWORK_RULE: {"sources.allowedCIDRs": ["10.0.0.0/8", "10.0.0.0/33"]},
    NAMESPACE_RULE: {"namespace": "kube-system"},
    ANNOTATION_RULE: {"podTemplate.metadata.annotations": {"a b": "c"}},
    LABEL_RULE: {"podTemplate.metadata.labels": {"team": "a b"}},
    CRON_RULE: {"schedule": "61 * * * *"},
    ZONE_RULE: {"timeZone": "europe/berlin"},
    JITTER_RULE: {"jitter": "24h1s"},
    NOT_CANCELLED: {"importTemplate.cancel": True},
}
# Fields of an import that its Job does not show. Other tests prove what they do.
FIELDS_WITHOUT_JOB_EFFECT = frozenset(
    f"PostgresImport spec.{name}"
    for name in (
        "pendingTimeout",  # used by the operator
        "startTimeout",
        "stallTimeout",
        "recreate",  # used by the operator when it inspects the target
        "ttlSecondsAfterFinished",  # added when the import ends
    )
)
