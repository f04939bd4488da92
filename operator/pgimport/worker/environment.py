"""Parses the environment variables of a container into the worker's files and its order."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pgimport.model import order as order_model
from pgimport.model.order import ORDER_VERSION, Order
from pgimport.model.reasons import Failure, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerEnvironment:
    """The pod's uid and the paths of its files. A container that only runs a preflight has no seed."""

    pod_uid: str
    source_url: Path
    seed: Path | None
    scratch: Path
    private: Path
    termination_message: Path
    ca: Path | None = None
    post_import: Path | None = None
    source_path: Path | None = None  # of a dump on this machine, instead of the URL


def parse_environment(environ: Mapping[str, str]) -> WorkerEnvironment | Failure:
    """Returns the paths, or a failure that names the variables that are missing."""
    required = (
        order_model.ENV_POD_UID,
        order_model.ENV_SOURCE_URL_FILE,
        order_model.ENV_SCRATCH,
        order_model.ENV_PRIVATE,
        order_model.ENV_TERMINATION_MESSAGE,
    )
    if missing := [name for name in required if not environ.get(name)]:
        return Failure(Reason.ORDER_UNREADABLE, f"the environment lacks {', '.join(missing)}")
    seed, ca, post_import, source_path = (
        Path(value) if (value := environ.get(name)) else None
        for name in (
            order_model.ENV_SEED_FILE,
            order_model.ENV_CA_FILE,
            order_model.ENV_POST_IMPORT_FILE,
            order_model.ENV_SOURCE_PATH,
        )
    )
    return WorkerEnvironment(
        pod_uid=environ[order_model.ENV_POD_UID],
        source_url=Path(environ[order_model.ENV_SOURCE_URL_FILE]),
        seed=seed,
        scratch=Path(environ[order_model.ENV_SCRATCH]),
        private=Path(environ[order_model.ENV_PRIVATE]),
        termination_message=Path(environ[order_model.ENV_TERMINATION_MESSAGE]),
        ca=ca,
        post_import=post_import,
        source_path=source_path,
    )


def parse_order(text: str) -> Order | Failure:
    """Returns the order, or a failure if it is missing, damaged, or of a later version than this worker knows."""
    if not text:
        return Failure(Reason.ORDER_UNREADABLE, f"the environment lacks {order_model.ENV_ORDER}")
    try:
        order = Order.model_validate_json(text)
    except ValueError as error:
        return Failure(Reason.ORDER_UNREADABLE, f"the order in {order_model.ENV_ORDER} cannot be read: {error}")
    if order.version > ORDER_VERSION:
        return Failure(
            Reason.ORDER_UNREADABLE, f"the order has version {order.version}, this worker knows {ORDER_VERSION}"
        )
    return order
