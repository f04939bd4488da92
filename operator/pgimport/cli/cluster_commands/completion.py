"""`pgimport completion SHELL`, and the candidates that shells and kubectl ask for."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise

from pgimport.cli.cluster_commands.command_context import IMPORTS, PREVIEWS, PROJECTS, SCHEDULES, CommandContext
from pgimport.cli.cluster_commands.kubectl import Kubectl

NO_FILES = ":4"  # the directive of Cobra's protocol that kubectl expects after the candidates
RESOURCES = {"import": IMPORTS, "preview": PREVIEWS, "schedule": SCHEDULES, "project": PROJECTS}
NAMED_BY_OPTION = {
    "--preview": PREVIEWS,
    "--from": PREVIEWS,
    "--project": PROJECTS,
    "-n": "namespaces",
    "--namespace": "namespaces",
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
  compadd -- $candidates
}
compdef _pgimport pgimport""",
    "fish": """\
complete -c pgimport -f -a '(pgimport __complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'""",
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

    complete_main(sys.argv[1:], build_parser())
    print(NO_FILES)
    return 0


def list_candidates(
    parser: argparse.ArgumentParser, words: Sequence[str], list_names: Callable[[str], Sequence[str]]
) -> list[str]:
    """Returns what the last word can be: a command, a verb, an option, a choice or the name of an object. Pure."""
    *before, last = words or [""]
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
    if option is not None:
        flag = option.option_strings[0]
        names = [str(choice) for choice in option.choices or ()]
        if flag in NAMED_BY_OPTION:
            names = list(list_names(NAMED_BY_OPTION[flag]))
    elif last.startswith("-"):
        names = [flag for action in parser._actions for flag in action.option_strings if flag.startswith("--")]
    elif (subparsers := _find_subparsers(parser)) is not None:
        names = [name for name in subparsers.choices if not name.startswith("_")]
    else:
        names = _list_positionals(parser, commands, list_names)
    return sorted(name for name in names if name.startswith(last))


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
        chosen = [
            f"{flag}={value}"
            for flag, value in pairwise(words)
            if flag in ("-n", "--namespace", "--context", "--kubeconfig") and resource != "namespaces"
        ]
        done, text = Kubectl(chosen, None).try_run("get", resource, "--output", "name", "--request-timeout=5s")
        return [os.path.basename(line) for line in text.split()] if done else []

    return list_names
