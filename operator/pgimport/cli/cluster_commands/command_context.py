"""Holds what every command needs: kubectl, the screen, the clock and the name under which the program was called."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pgimport.cli.cluster_commands.kubectl import Kubectl
from pgimport.cli.cluster_commands.screen import Screen
from pgimport.model.names import GROUP

IMPORTS = f"postgresimports.{GROUP}"
PREVIEWS = f"previewdatabases.{GROUP}"
SCHEDULES = f"postgresimportschedules.{GROUP}"
PROJECTS = f"projects.{GROUP}"


@dataclass(frozen=True, slots=True)
class CommandContext:
    """The surroundings of a command."""

    kubectl: Kubectl
    screen: Screen
    environment: Mapping[str, str]
    program: str = "pgimport"  # or `kubectl pgimport`
    given_options: Sequence[str] = ()  # that choose cluster and namespace, as the user wrote them

    def now(self) -> datetime:
        return datetime.now(UTC)

    def write_commands(self, commands: Iterable[str]) -> list[str]:
        """Completes suggested commands with the program's name, and the cluster and namespace that the user chose."""
        options = "".join(f" {shlex.quote(word)}" for word in self.given_options)
        return [self._complete(command, options) for command in commands]

    def write_command(self, command: str) -> str:
        return self.write_commands([command])[0]

    def _complete(self, command: str, options: str) -> str:
        if command.startswith("PGIMPORT "):
            return f"{self.program}{options}{command.removeprefix('PGIMPORT')}"
        return f"{command.removesuffix(' NS')}{options}" if command.endswith(" NS") else command
