"""Holds what every command needs: kubectl, the screen, the clock and the name under which the program was called."""

import re
from collections.abc import Iterable, Mapping
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
    namespace_option: str | None = None  # as the user wrote it

    def now(self) -> datetime:
        return datetime.now(UTC)

    def write_commands(self, commands: Iterable[str]) -> list[str]:
        """Completes suggested commands with the program's name and the namespace that the user chose."""
        option = f" -n {self.namespace_option}" if self.namespace_option else ""
        return [self._complete(command, option) for command in commands]

    def write_command(self, command: str) -> str:
        return self.write_commands([command])[0]

    def _complete(self, command: str, option: str) -> str:
        command = re.sub(r"^PGIMPORT\b", self.program + option, command)
        return re.sub(r" NS$", option, command)
