"""`pgimport completion SHELL`, and the candidates that shells and kubectl ask for."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pgimport.cli.cluster_commands.command_context import IMPORTS, PREVIEWS, PROJECTS, SCHEDULES, CommandContext
from pgimport.cli.cluster_commands.kubectl import Kubectl

# The directives of Cobra's protocol, one of which kubectl expects after the candidates.
NO_FILES, FILES = ":4", ":0"
FILE = "FILE"  # metavar of options that take a file
CONTEXTS = "contexts"  # of the kubeconfig, which are no objects of a cluster
CLUSTER_FLAGS = ("-n", "--namespace", "--context", "--kubeconfig")
RESOURCES = {"import": IMPORTS, "preview": PREVIEWS, "schedule": SCHEDULES, "project": PROJECTS}
NAMED_BY_OPTION = {
    "--preview": PREVIEWS,
    "--from": PREVIEWS,
    "--project": PROJECTS,
    "-n": "namespaces",
    "--namespace": "namespaces",
    "--context": CONTEXTS,
}

SCRIPTS = {
    "bash": """\
_pgimport() {
  local IFS=$'\\n'
  COMPREPLY=($(pgimport __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _pgimport pgimport""",
    "zsh": """\
#compdef pgimport
_pgimport() {
  local -a candidates
  candidates=("${(@f)$(pgimport __complete "${words[@]:1:$((CURRENT - 1))}" 2>/dev/null)}")
  if [[ -n $candidates ]]; then compadd -- $candidates; else _files; fi
}
if [[ $funcstack[1] == _pgimport ]]; then _pgimport; else compdef _pgimport pgimport; fi""",
    "fish": """\
complete -c pgimport -f -a '(pgimport __complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
for option in kubeconfig from-file dump write-env source-file target-file owner-password-file ca
  complete -c pgimport -l $option -rF
end""",
}


def print_script(context: CommandContext, arguments: argparse.Namespace) -> int:
    context.screen.print_text(SCRIPTS[arguments.shell])
    return 0


def complete_main(words: Sequence[str], parser: argparse.ArgumentParser) -> int:
    """Prints the candidates for the last word, one a line. Prints nothing if the cluster does not answer."""
    for candidate in list_candidates(parser, words, _list_names(words)):
        print(candidate)
    return 0


def kubectl_main() -> int:
    """Program `kubectl_complete-pgimport`, which kubectl calls for `kubectl pgimport <TAB>`."""
    from pgimport.cli.arguments import build_parser

    parser, words = build_parser(), sys.argv[1:]
    complete_main(words, parser)
    print(FILES if takes_file(parser, words) else NO_FILES)
    return 0


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the last word stands: in which command, and after which option that takes it as its value."""

    parser: argparse.ArgumentParser
    commands: Sequence[str]
    option: argparse.Action | None
    last: str


def list_candidates(
    parser: argparse.ArgumentParser, words: Sequence[str], list_names: Callable[[str], Sequence[str]]
) -> list[str]:
    """Returns what the last word can be: a command, a verb, an option, a choice or the name of an object. Pure."""
    place = _find_place(parser, words)
    if place.option is not None:
        flag = place.option.option_strings[0]
        names = [str(choice) for choice in place.option.choices or ()]
        if flag in NAMED_BY_OPTION:
            names = list(list_names(NAMED_BY_OPTION[flag]))
    elif place.last.startswith("-"):
        names = [flag for action in place.parser._actions for flag in action.option_strings if flag.startswith("--")]
    elif (subparsers := _find_subparsers(place.parser)) is not None:
        names = [name for name in subparsers.choices if not name.startswith("_")]
    else:
        names = _list_positionals(place.parser, place.commands, list_names)
    option, equals, _ = (words[-1] if words else "").partition("=")
    prefix = option + equals if option.startswith("--") and equals else ""
    return sorted(prefix + name for name in names if name.startswith(place.last))


def takes_file(parser: argparse.ArgumentParser, words: Sequence[str]) -> bool:
    """Tells whether the last word is the value of an option that takes a file. Pure."""
    option = _find_place(parser, words).option
    return option is not None and option.metavar == FILE


def split_options(words: Sequence[str]) -> list[str]:
    """Returns `--option=value` as two words. bash has split it into three."""
    parts: list[str] = []
    for number, word in enumerate(words, 1):
        option, equals, value = word.partition("=")
        if option.startswith("--") and equals:
            parts += [option, value]
        elif word != "=" or not parts or not parts[-1].startswith("--"):
            parts.append(word)
        elif number == len(words):
            parts.append("")
    return parts


def _find_place(parser: argparse.ArgumentParser, words: Sequence[str]) -> _Place:
    *before, last = split_options(words) or [""]
    commands: list[str] = []
    option: argparse.Action | None = None
    for word in before:
        subparsers = _find_subparsers(parser)
        if option is not None:
            option = None
        elif word.startswith("-"):
            option = _find_option(parser, word)
        elif subparsers is not None and word in subparsers.choices:
            parser = subparsers.choices[word]
            commands.append(word)
    return _Place(parser, commands, option, last)


def _list_positionals(
    parser: argparse.ArgumentParser, commands: Sequence[str], list_names: Callable[[str], Sequence[str]]
) -> list[str]:
    positional = next((action for action in parser._actions if not action.option_strings), None)
    if positional is None:
        return []
    if positional.choices:
        return [str(choice) for choice in positional.choices]
    creates = commands[-1:] in (["create"], ["clone"])
    return [] if creates or commands[0] not in RESOURCES else list(list_names(RESOURCES[commands[0]]))


def _find_subparsers(parser: argparse.ArgumentParser) -> "argparse._SubParsersAction[argparse.ArgumentParser] | None":
    return next((action for action in parser._actions if isinstance(action, argparse._SubParsersAction)), None)


def _find_option(parser: argparse.ArgumentParser, word: str) -> argparse.Action | None:
    """Returns the option that takes the next word as its value."""
    action = next((action for action in parser._actions if word in action.option_strings), None)
    return action if action is not None and action.nargs is None else None


def _list_names(words: Sequence[str]) -> Callable[[str], list[str]]:
    """Returns a function that asks kubectl for names, in the namespace and cluster that the words before choose."""

    def list_names(resource: str) -> list[str]:
        flags = {CONTEXTS: ("--kubeconfig",), "namespaces": ("--context", "--kubeconfig")}.get(resource, CLUSTER_FLAGS)
        chosen = [f"{flag}={value}" for flag, value in pairwise(split_options(words)) if flag in flags]
        listing = ["config", "get-contexts"] if resource == CONTEXTS else ["get", resource, "--request-timeout=5s"]
        done, text = Kubectl(chosen, None).try_run(*listing, "--output", "name")
        lines = text.split() if done else []
        return lines if resource == CONTEXTS else [os.path.basename(line) for line in lines]

    return list_names
