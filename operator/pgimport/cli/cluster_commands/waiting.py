"""Follows an object until a decision about it is final."""

import time
from collections.abc import Callable, Iterable

from pgimport.cli.cluster_commands.command_context import CommandContext
from pgimport.cli.cluster_commands.errors import CommandFailed
from pgimport.cli.cluster_commands.kubectl import DELETED
from pgimport.cli.cluster_commands.kubectl_errors import NOUNS
from pgimport.cli.cluster_commands.objects import Json, format_seconds, reason_of, state_of
from pgimport.cli.cluster_commands.outcomes import Outcome

DRAW_SECONDS = 1.0  # between two drawings of a live view, whose ages grow
LOOK_SECONDS = 10.0  # for the state of an object after the time is over, which others have used


Decide = Callable[[Json], Outcome | None]


def follow(
    context: CommandContext,
    resource: str,
    name: str,
    decide: Decide,
    timeout: float | None,
    on_change: Callable[[Json], None] | None = None,
    *,
    draws: bool = False,
    since: float | None = None,
) -> tuple[Json, Outcome]:
    """Returns the object and the outcome as soon as `decide` returns one.

    `on_change` is called for each change, and with `draws` about once a second. `since`: the monotonic time at which
    the timeout began, if not now. Raises CommandFailed if the object is deleted or the time is over.
    """
    now = time.monotonic()
    deadline = None if timeout is None else max((since or now) + timeout, now + min(LOOK_SECONDS, timeout))
    noun = NOUNS.get(resource, resource)
    body: Json | None = None
    with context.kubectl.watch(resource, name) as watch:
        while True:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise CommandFailed(_describe_timeout(noun, name, body, timeout or 0))
            event = watch.next_event(min(DRAW_SECONDS, left or DRAW_SECONDS) if draws else left)
            if event is not None:
                body = event["object"]
                if event.get("type") == DELETED:
                    raise CommandFailed(f"{noun} {name} was deleted")
            if body is None:
                continue
            if on_change is not None:
                on_change(body)
            if (outcome := decide(body)) is not None:
                return body, outcome


def follow_each(
    context: CommandContext,
    resource: str,
    names: Iterable[str],
    decide: Decide,
    timeout: float,
    report: Callable[[Json, Outcome], int],
) -> int:
    """Follows objects within one timeout. Returns the first code that is not 0, of `report` or of an error."""
    since, codes = time.monotonic(), [0]
    for name in names:
        try:
            body, outcome = follow(context, resource, name, decide, timeout, since=since)
        except CommandFailed as error:
            context.screen.print_note(f"pgimport: {error}")
            codes.append(error.exit_code)
        else:
            codes.append(report(body, outcome))
    return next((code for code in codes if code), 0)


def _describe_timeout(noun: str, name: str, body: Json | None, timeout: float) -> str:
    if body is None:
        return f"{noun} {name} could not be read within {format_seconds(timeout)}"
    reason = f" ({reason_of(body)})" if reason_of(body) else ""
    return f"{noun} {name} is still {state_of(body)}{reason} after {format_seconds(timeout)}"
