"""`pgimport version`: the version of this program, and those in the cluster."""

import argparse
import json

from pgimport import __version__
from pgimport.cli.cluster_commands.blocks import Fields
from pgimport.cli.cluster_commands.command_context import CommandContext
from pgimport.cli.cluster_commands.doctor import DEPLOYMENTS
from pgimport.cli.cluster_commands.doctor_checks import deployed_version
from pgimport.cli.cluster_commands.errors import CommandFailed
from pgimport.cli.cluster_commands.objects import name_of, namespace_of


def print_versions(context: CommandContext, arguments: argparse.Namespace) -> int:
    """Prints versions. A cluster that cannot be read is no failure."""
    cluster: dict[str, str] = {}
    problem = None
    if not arguments.client:
        try:
            items = context.kubectl.list("deployments", "--all-namespaces", DEPLOYMENTS)
            cluster = {f"{namespace_of(item)}/{name_of(item)}": deployed_version(item) for item in items}
            problem = None if items else "the cluster has no operator"
        except CommandFailed as error:
            problem = str(error)
    if arguments.output == "json":
        context.screen.print_text(json.dumps({"client": __version__, "cluster": cluster}))
    else:
        context.screen.print_page(Fields([("client", __version__), *cluster.items()]))
    if problem:
        context.screen.print_note(f"the versions in the cluster are unknown: {problem}")
    return 0
