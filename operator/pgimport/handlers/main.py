"""The operator's program: settings in, kopf runs until it is told to stop."""

import asyncio
import os
import sys
import threading
from functools import partial

import kopf

from pgimport.handlers.events import Watched, register
from pgimport.handlers.sweep import run_sweeps
from pgimport.handlers.watching import Sightings
from pgimport.kubernetes_client.api_client import connect_kubernetes
from pgimport.log import start_logging
from pgimport.reconcile.loop import reconcile
from pgimport.reconcile.queue import WorkQueue
from pgimport.reconcile.world import Rights, World
from pgimport.settings import Settings, SettingsError, open_uploads, read_settings


def main(arguments: list[str]) -> int:
    """`operator` takes no words: everything is in the environment."""
    try:
        settings = read_settings(os.environ)
        store = open_uploads(settings, os.environ)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 78  # EX_CONFIG
    start_logging(settings.log_level)
    world = World(
        cluster=connect_kubernetes(),
        policy=settings.to_policy(),
        store=store,
        rights=Rights(
            service_account=settings.service_account,
            tenant_cluster_role=settings.tenant_cluster_role,
            api_service_account=settings.api_service_account,
            api_cluster_role=settings.api_cluster_role,
        ),
    )
    run(world, settings)
    return 0


def run(world: World, settings: Settings, stop_flag: threading.Event | None = None) -> None:
    """Blocks until a signal or `stop_flag`; looks that have begun are ended before it returns."""
    queue = WorkQueue(partial(reconcile, world), workers=settings.workers)
    sightings, stop = Sightings(), threading.Event()
    registry = kopf.OperatorRegistry()
    register(registry, Watched(queue=queue, sightings=sightings, evidence=world.evidence))
    sweeper = threading.Thread(
        target=run_sweeps, args=(world, queue, sightings, settings.sweep_seconds, stop), name="sweep", daemon=True
    )
    queue.start()
    sweeper.start()
    try:
        asyncio.run(
            kopf.operator(
                registry=registry,
                clusterwide=True,
                standalone=True,
                liveness_endpoint=f"http://0.0.0.0:{settings.health_port}/healthz",
                stop_flag=stop_flag,
            )
        )
    finally:
        stop.set()
        queue.stop()
