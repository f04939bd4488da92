"""Where the worker finds its files: the pod's environment comes in, paths go out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pgimport.model import order as words
from pgimport.model.order import ORDER_VERSION, Order
from pgimport.model.reasons import Failure, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerEnvironment:
    """The pod's files; the seed is not there in a container that only looks at the source."""

    pod_uid: str
    source_url: Path
    seed: Path | None
    scratch: Path
    private: Path
    termination_message: Path
    ca: Path | None = None
    post_import: Path | None = None


def parse_environment(environ: Mapping[str, str]) -> WorkerEnvironment | Failure:
    """Paths from the environment; a missing name is the operator's fault, and is named."""
    needed = (
        words.ENV_POD_UID,
        words.ENV_SOURCE_URL_FILE,
        words.ENV_SCRATCH,
        words.ENV_PRIVATE,
        words.ENV_TERMINATION_MESSAGE,
    )
    if missing := [name for name in needed if not environ.get(name)]:
        return Failure(Reason.ORDER_UNREADABLE, f"the environment lacks {', '.join(missing)}")
    seed, ca, post_import = (
        Path(value) if (value := environ.get(name)) else None
        for name in (words.ENV_SEED_FILE, words.ENV_CA_FILE, words.ENV_POST_IMPORT_FILE)
    )
    return WorkerEnvironment(
        pod_uid=environ[words.ENV_POD_UID],
        source_url=Path(environ[words.ENV_SOURCE_URL_FILE]),
        seed=seed,
        scratch=Path(environ[words.ENV_SCRATCH]),
        private=Path(environ[words.ENV_PRIVATE]),
        termination_message=Path(environ[words.ENV_TERMINATION_MESSAGE]),
        ca=ca,
        post_import=post_import,
    )


def parse_order(text: str | None) -> Order | Failure:
    """The order, unless it is not there, damaged, or of a later version than this worker."""
    if not text:
        return Failure(Reason.ORDER_UNREADABLE, f"the environment lacks {words.ENV_ORDER}")
    try:
        order = Order.model_validate_json(text)
    except ValueError as error:
        return Failure(Reason.ORDER_UNREADABLE, f"the order in {words.ENV_ORDER} cannot be read: {error}")
    if order.version > ORDER_VERSION:
        return Failure(
            Reason.ORDER_UNREADABLE, f"the order has version {order.version}, this worker knows {ORDER_VERSION}"
        )
    return order
