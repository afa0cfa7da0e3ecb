"""A real Ray cluster on this machine, with two workers, shared by the tests that need one."""

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="package")
def cluster() -> Iterator[None]:
    """Two workers; the engines take the cluster that the process has joined."""
    pytest.importorskip("ray", reason="needs Ray: pip install -c constraints.txt '.[cluster]'")
    from mien.cluster.connection import OBJECT_STORE_BYTES, ray

    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        log_to_driver=False,
        logging_level=logging.ERROR,
        _system_config={"worker_niceness": 0},  # else the tests beside it leave its workers no processor
    )
    yield
    ray.shutdown()


def kill_who_holds(path: Path, *, patience_s: float = 600.0, ready: Callable[[], bool] = lambda: True) -> int:
    """Wait until another process has a file open (and `ready` says so), kill it with SIGKILL, return its number.

    The patience is for machines with other work: a worker of Ray imports torch before it opens anything.
    """
    end_s = time.monotonic() + patience_s
    while time.monotonic() < end_s:
        if ready():
            for process in Path("/proc").glob("[0-9]*"):
                if int(process.name) != os.getpid() and _holds(process, path):
                    os.kill(int(process.name), signal.SIGKILL)
                    return int(process.name)
        time.sleep(0.002)
    raise AssertionError(f"no other process opened {path} within {patience_s:g} s")


def _holds(process: Path, path: Path) -> bool:
    try:
        return any(str(handle.readlink()).startswith(str(path)) for handle in (process / "fd").iterdir())
    except OSError:  # it has ended, or is not ours
        return False
