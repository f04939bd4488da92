"""The words of `pgimport keys`, without anything that talks to a cluster: the parser is built for every command."""

import argparse
import os
import re
from datetime import timedelta
from typing import Any

from pgimport.model.api_caller import ApiScope

NAMESPACE = "pgimport-system"
_LIFE = re.compile(r"([1-9][0-9]{0,4})([hd])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1)}


def add_keys_arguments(commands: Any) -> None:
    """The words of the command line."""
    keys = commands.add_parser("keys", help="API keys of the HTTP API: create, list, revoke")
    keys.add_argument("--namespace", default=os.environ.get("PGIMPORT_NAMESPACE", NAMESPACE),
                      help=f"the operator's namespace (default: PGIMPORT_NAMESPACE, else {NAMESPACE})")  # fmt: skip
    verbs = keys.add_subparsers(dest="verb", required=True, metavar="VERB")
    create = verbs.add_parser("create", help="make a key and show it, once")
    create.add_argument("--organization", required=True, metavar="ID", help="organizationID of its Projects")
    create.add_argument("--project", metavar="NAME", help="only this Project")
    create.add_argument("--scope", action="append", choices=[one.value for one in ApiScope], default=[],
                        help="what it may be used for; may be repeated (default: everything)")  # fmt: skip
    create.add_argument("--name", default="", help="for people: who uses it")
    create.add_argument("--expires", type=_life, metavar="LIFE", help="after 12h, 30d … (default: never)")
    create.add_argument("--secret", metavar="NAME", help="write the key into this new Secret instead of showing it")
    listed = verbs.add_parser("list", help="all keys, without their texts")
    listed.add_argument("--json", action="store_true", help="as JSON")
    revoke = verbs.add_parser("revoke", help="take a key away; within seconds it opens nothing")
    revoke.add_argument("id", metavar="ID", help="of `keys list`")


def _life(text: str) -> timedelta:
    match = _LIFE.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no life: write it like 12h or 30d")
    return int(match[1]) * _UNITS[match[2]]
