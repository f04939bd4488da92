"""Defines the string types of fields that users write, each with its pattern or rule.

The rules protect libpq, PostgreSQL and child processes: a NUL ends a string there, and a comma or slash turns a host
into a list or a socket.
"""

import ipaddress
import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, StringConstraints, WithJsonSchema

DNS_LABEL_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_SUBDOMAIN_PATTERN = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
# The name of an object that is also the value of a label.
LABELLED_NAME_PATTERN = r"^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$"
ONE_LINE_PATTERN = r"^[^\x00-\x1f\x7f]+$"
WITHOUT_NUL_PATTERN = r"^[^\x00]+$"
EXTENSION_PATTERN = r"^[0-9A-Za-z_]([-0-9A-Za-z_.]*[0-9A-Za-z_])?$"

Label = Annotated[str, StringConstraints(pattern=DNS_LABEL_PATTERN, min_length=1, max_length=63)]
ObjectName = Annotated[str, StringConstraints(pattern=DNS_SUBDOMAIN_PATTERN, min_length=1, max_length=253)]
LabelledName = Annotated[str, StringConstraints(pattern=LABELLED_NAME_PATTERN, min_length=1, max_length=63)]
ShortText = Annotated[str, StringConstraints(pattern=ONE_LINE_PATTERN, min_length=1, max_length=253)]
NamePattern = Annotated[str, StringConstraints(pattern=WITHOUT_NUL_PATTERN, min_length=1, max_length=255)]
ExtensionName = Annotated[str, StringConstraints(pattern=EXTENSION_PATTERN, min_length=1, max_length=63)]

DatabaseName = Annotated[str, StringConstraints(pattern=ONE_LINE_PATTERN, min_length=1, max_length=63)]

# Resolvers refuse labels of more than 63 characters.
_NAME = r"[0-9A-Za-z_]([-0-9A-Za-z_]{0,61}[0-9A-Za-z_])?(\.[0-9A-Za-z_]([-0-9A-Za-z_]{0,61}[0-9A-Za-z_])?)*\.?"
_IPV6 = r"[0-9A-Fa-f]*:[0-9A-Fa-f:.]+"
_HOST, _HOSTS = f"^({_NAME}|{_IPV6})$", rf"^((\*\.)?{_NAME}|{_IPV6})$"
HOST_RULE = "no host: write one name or address, like db.example.com, 10.0.0.5 or fd00::5"
HOST_PATTERN_RULE = "no host name: write it like db.example.internal, or *.example.internal for all below it"
# Path and query have no space, backslash, quote or fragment.
_WEBHOOK_URL = rf"^https://({_NAME}|\[{_IPV6}\])(:[0-9]{{1,5}})?([/?][!$-\[\]-~]*)?$"
WEBHOOK_URL_RULE = "no https URL: write it like https://hooks.example.com/path, without user, password and fragment"
NETWORK_RULE = "no network: write it like 10.0.0.0/8, fd00::/8 or 192.0.2.1"


def _ruled(fits: Callable[[str], bool], rule: str, message: str, longest: int) -> tuple[AfterValidator, WithJsonSchema]:
    """Builds a rule as a pydantic validator for the operator and as CEL for the API server."""

    def check(value: str) -> str:
        if not fits(value):
            raise ValueError(message)
        return value

    rules: list[dict[str, Any]] = [{"rule": rule, "message": message}]
    schema = {"type": "string", "minLength": 1, "maxLength": longest, "x-kubernetes-validations": rules}
    return AfterValidator(check), WithJsonSchema(schema)


def _is_network(value: str) -> bool:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return False
    return True


def fits_pattern(pattern: str, message: str, longest: int) -> tuple[AfterValidator, WithJsonSchema]:
    """Builds the rule that a text matches a pattern. A violation shows the message instead of the pattern."""
    return _ruled(
        lambda value: re.fullmatch(pattern, value) is not None, f"self.matches(r'{pattern}')", message, longest
    )


_host, _hosts = fits_pattern(_HOST, HOST_RULE, 253), fits_pattern(_HOSTS, HOST_PATTERN_RULE, 253)
_webhook_url = fits_pattern(_WEBHOOK_URL, WEBHOOK_URL_RULE, 2048)
_network = _ruled(_is_network, "isCIDR(self) || isIP(self)", NETWORK_RULE, 64)
HostName = Annotated[str, _host[0], _host[1]]
HostPattern = Annotated[str, _hosts[0], _hosts[1]]
WebhookURL = Annotated[str, _webhook_url[0], _webhook_url[1]]
NetworkAddress = Annotated[str, _network[0], _network[1]]
