"""To be connected to a Ray cluster: quietly, and without its telling anybody."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

OBJECT_STORE_BYTES = 100 * 2**20  # little more than Ray's least: recipes and paths go through it, no faces

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read by Ray when it starts a cluster: nothing is reported to anybody
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # no table of an experiment on our stdout
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")  # run folders hold the metrics

import ray  # noqa: E402  # it reads the environment when it is imported
from ray.exceptions import RayTaskError  # noqa: E402

from mien.errors import ClusterError  # noqa: E402


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Be connected to a cluster: to the one that this process has joined already, or else to that at an address.

    Args:
        address: HOST:PORT of a cluster, or "auto" for the one that this machine belongs to; None starts one of this
            machine alone, which ends with the block.

    Raises:
        ClusterError: There is none at that address.
    """
    if ray.is_initialized():
        yield
        return
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address is None:
            ray.init(address="local", include_dashboard=False, object_store_memory=OBJECT_STORE_BYTES, **quiet)
        else:
            ray.init(address=address, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ClusterError(
            f"There is no Ray cluster at {address or 'this machine'} ({str(error).splitlines()[0]}); start one with "
            "`ray start --head` and say its address with --address HOST:6379."
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def most(resource: str) -> float:
    """Return how much of a resource ("CPU", "GPU", "memory" in bytes) the machine has that has most of it."""
    return max((float(node["Resources"].get(resource, 0)) for node in ray.nodes() if node["Alive"]), default=0.0)


def last_line(error: RayTaskError) -> str:
    """Return what went wrong in a worker: the last line of its traceback."""
    return str(error).strip().splitlines()[-1]
