"""Defines the rules between fields of the specs as CEL expressions, which the API server enforces."""

from pgimport.model.import_spec import (
    BUILTIN_LOCALE_NEEDED,
    BUILTIN_ONLY,
    ICU_LOCALE_NEEDED,
    ICU_ONLY,
    LONGEST_TIMEOUT,
    MUTABLE_IMPORT_FIELDS,
    ImportSpec,
)
from pgimport.model.preview_spec import TTL_RULE
from pgimport.model.project_spec import KUBERNETES_PREFIX, NAMESPACE_RULE, ONE_PRIMARY, TargetServer
from pgimport.model.scalar_types import DURATION_PATTERN, duration_rule
from pgimport.model.schedule_spec import JITTER_RULE, NOT_CANCELLED
from pgimport.model.webhooks import UNIQUE_NAMES

_CEL_RESERVED = ("namespace",)


def immutable_rule(field: str, advice: str) -> dict[str, str]:
    """Builds a rule that refuses to change, add or remove a field.

    The rule `self == oldSelf` on the field itself would not run when the field is added or removed.
    """
    # CEL expressions escape reserved words with underscores.
    name = f"__{field}__" if field in _CEL_RESERVED else field
    return {
        "rule": f"has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || self.{name} == oldSelf.{name})",
        "message": f"{field} is immutable: {advice}",
        "fieldPath": f".{field}",
    }


def limit_duration(field: str, longest: str, message: str) -> dict[str, str]:
    """Builds a rule that limits a duration.

    The API server evaluates rules although the text does not match its pattern. `duration` then fails with an error
    about google.protobuf.Duration, so the rule tries the pattern first.
    """
    value = f"duration(self.{field})"
    limits = f"{value} > duration('0s') && {value} <= duration('{longest}')"
    return {
        "rule": f"!has(self.{field}) || (self.{field}.matches('{DURATION_PATTERN}') && {limits})",
        "message": message,
        "fieldPath": f".{field}",
    }


# Of the spec of an import, and of the importTemplate of a schedule, which may change.
IMPORT_TEMPLATE_RULES: list[dict[str, str]] = [
    {
        "rule": "has(self.target) || (has(self.dryRun) && self.dryRun)",
        "message": "target.previewDatabase is required unless dryRun is true",
        "fieldPath": ".target",
    },
    *(
        limit_duration(field, LONGEST_TIMEOUT, duration_rule(field, LONGEST_TIMEOUT))
        for field in ("pendingTimeout", "timeout", "startTimeout", "stallTimeout")
    ),
]
IMPORT_SPEC_RULES: list[dict[str, str]] = [
    *IMPORT_TEMPLATE_RULES,
    {
        "rule": "!(has(oldSelf.cancel) && oldSelf.cancel) || (has(self.cancel) && self.cancel)",
        "message": "cancel never goes back to false: create a new import",
        "fieldPath": ".cancel",
    },
    *(
        immutable_rule(to_name, "create a new PostgresImport under another name")
        for to_name in (
            ImportSpec.model_fields[name].alias or name
            for name in ImportSpec.model_fields
            if name not in MUTABLE_IMPORT_FIELDS
        )
    ),
]
IMPORT_SOURCE_RULES: list[dict[str, str]] = [
    {
        "rule": "has(self.urlSecretRef) != has(self.uploadKey)",
        "message": "exactly one of urlSecretRef and uploadKey must be set",
    },
]
_PROVIDER = "(has(self.locale.provider) ? self.locale.provider : 'libc')"
IMPORT_TARGET_RULES: list[dict[str, str]] = [
    {"rule": f"!has(self.locale) || {condition}", "message": message, "fieldPath": ".locale"}
    for condition, message in (
        (f"{_PROVIDER} != 'icu' || has(self.locale.icuLocale)", ICU_LOCALE_NEEDED),
        (f"{_PROVIDER} != 'builtin' || has(self.locale.builtinLocale)", BUILTIN_LOCALE_NEEDED),
        (f"{_PROVIDER} == 'icu' || (!has(self.locale.icuLocale) && !has(self.locale.icuRules))", ICU_ONLY),
        (f"{_PROVIDER} == 'builtin' || !has(self.locale.builtinLocale)", BUILTIN_ONLY),
    )
]
_GOLDEN = "(has(self.golden) && self.golden)"
PREVIEW_SPEC_RULES: list[dict[str, str]] = [
    limit_duration("ttl", "168h", TTL_RULE),
    immutable_rule("project", "create a new PreviewDatabase under another name"),
    immutable_rule("mode", "create a new PreviewDatabase under another name"),
    immutable_rule("from", "create a new PreviewDatabase under another name"),
    {
        "rule": "!has(self.from) || (has(self.mode) && self.mode == 'clone')",
        "message": "from needs mode: clone",
        "fieldPath": ".from",
    },
    immutable_rule("golden", "create a new PreviewDatabase under another name"),
    *(
        {
            "rule": f"!{_GOLDEN} || !has(self.{field})",
            "message": f"{field} cannot be set if golden is true: a golden preview never expires",
            "fieldPath": f".{field}",
        }
        for field in ("ttl", "renewedAt")
    ),
    {
        "rule": f"!{_GOLDEN} || !has(self.mode) || self.mode == 'empty'",
        "message": "mode must be empty if golden is true: imports fill a golden preview",
        "fieldPath": ".mode",
    },
]
SCHEDULE_RULES: list[dict[str, str]] = [
    {
        "rule": "self.metadata.name.size() <= 52",
        "message": "metadata.name must have at most 52 characters, because the names of the imports begin with it",
    },
]
SCHEDULE_SPEC_RULES: list[dict[str, str]] = [
    limit_duration("jitter", "24h", JITTER_RULE),
    {
        "rule": "!has(self.importTemplate.cancel) || !self.importTemplate.cancel",
        "message": NOT_CANCELLED,
        "fieldPath": ".importTemplate.cancel",
    },
]
_IN_USE = "has(oldSelf.status) && has(oldSelf.status.inUse) && oldSelf.status.inUse"


def server_address_rule(field: str, default: object = None) -> dict[str, str]:
    """Builds a rule on the Project that makes a field of spec.server immutable while status.inUse is true.

    `default`: value of an optional field that is absent. Setting the field to its default, or removing it then, does
    not count as a change.
    """
    new, old = (
        path if default is None else f"(has({path}) ? {path} : {default})"
        for path in (f"self.spec.server.{field}", f"oldSelf.spec.server.{field}")
    )
    return {
        "rule": f"!({_IN_USE}) || {new} == {old}",
        "message": f"{field} cannot change while status.inUse is true, because databases of this Project are on the"
        " server: follow 'Move a Project to another server' in docs/operations/backup.md",
        "fieldPath": f".spec.server.{field}",
    }


PROJECT_RULES: list[dict[str, str]] = [
    {
        "rule": "self.metadata.name.size() <= 63 && !self.metadata.name.contains('.')",
        "message": "metadata.name must be a DNS label: at most 63 lower-case letters, digits and dashes, without a dot",
    },
    server_address_rule("clusterID"),
    server_address_rule("host"),
    server_address_rule("port", default=TargetServer.model_fields["port"].default),
]
PROJECT_SPEC_RULES: list[dict[str, str]] = [
    {
        "rule": f"!self.__namespace__.startsWith('{KUBERNETES_PREFIX}')",
        "message": NAMESPACE_RULE,
        "fieldPath": ".namespace",
    },
    immutable_rule("namespace", "create a new Project under another name"),
    {
        "rule": "!has(self.webhooks) || self.webhooks.all(webhook, self.webhooks.exists_one(other,"
        " other.name == webhook.name))",
        "message": UNIQUE_NAMES,
        "fieldPath": ".webhooks",
    },
]
PROJECT_PRIMARY_RULES: list[dict[str, str]] = [
    {"rule": "has(self.urlSecretRef) != has(self.previewDatabase)", "message": ONE_PRIMARY}
]
TERMINAL_STATUS_RULE: dict[str, str] = {
    "rule": "!has(oldSelf.state) || !(oldSelf.state in ['completed', 'failed', 'cancelled'])"
    " || (has(self.state) && self.state == oldSelf.state)",
    "message": "a terminal state never changes",
    "fieldPath": ".state",
}
