"""The command line of the test cluster; `tests.cluster` describes its verbs."""

from __future__ import annotations

import sys
from collections.abc import Callable

from tests.cluster.api_access import write_api
from tests.cluster.chart_release import ensure_release
from tests.cluster.commands import print_progress
from tests.cluster.env_file import PROJECT, write_environment
from tests.cluster.errors import ClusterError
from tests.cluster.instance import Instance, this_instance
from tests.cluster.lock import lock_until_exit
from tests.cluster.project_images import ensure_images
from tests.cluster.provider import Provider
from tests.cluster.provider_choice import choose_provider, forget_choice, remember_choice

USAGE = "usage: python3 -m tests.cluster up | down | kubeconfig | load IMAGE | cluster | images | install"

# As a shell reports a program that Ctrl-C ended.
INTERRUPTED = 130


def _cluster(instance: Instance, provider: Provider) -> None:
    remember_choice(instance, provider)
    provider.up()
    write_environment(instance)


def _images(instance: Instance, provider: Provider) -> None:
    _cluster(instance, provider)
    ensure_images(provider)


def _install(instance: Instance, provider: Provider) -> None:
    _cluster(instance, provider)
    provider.ensure_tools()
    ensure_release(instance, provider, ensure_images(provider))


def _up(instance: Instance, provider: Provider) -> None:
    _install(instance, provider)
    url, key = write_api(instance, provider)
    print(f"KUBECONFIG={instance.shown(instance.kubeconfig)}")
    print(f"HTTP API: {url or 'kubectl -n pgimport-system port-forward service/pgimport-api 8090:80'}")
    print(f"an API key of project {PROJECT}: {instance.shown(key)}")


def _down(instance: Instance, provider: Provider) -> None:
    provider.down()
    forget_choice(instance)
    print_progress("the cluster is down")


VERBS: dict[str, Callable[[Instance, Provider], None]] = {
    "up": _up,
    "down": _down,
    "cluster": _cluster,
    "images": _images,
    "install": _install,
}


def _run(arguments: list[str]) -> None:
    instance = this_instance()
    match arguments:
        case ["kubeconfig"]:
            print(choose_provider(instance).kubeconfig())
        case ["load", image]:
            lock_until_exit(instance)
            choose_provider(instance).load(image)
        case [verb] if verb in VERBS:
            lock_until_exit(instance)
            VERBS[verb](instance, choose_provider(instance))
        case _:
            raise ClusterError(USAGE)


def main(arguments: list[str]) -> int:
    try:
        _run(arguments)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: the same command takes up where it stopped", file=sys.stderr)
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
