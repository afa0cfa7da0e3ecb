"""What a model costs: parameters, multiply-accumulates, bytes, and time from a face to its probabilities."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.data.faceset import FaceSet
from mien.evaluation.candidates import Candidate

THREADS = (1, 2)
BATCHES = (1, 64)
ROUNDS = 5  # turns of each model
CALLS = 10  # in a turn, at most
BUDGET_S = 1.0  # for each model, number of threads and size of batch; a turn has one call at least


@dataclass(frozen=True, slots=True)
class Timing:
    """One way of asking a model.

    Attributes:
        threads: Threads that it may use.
        batch: Faces asked at once.
        calls: Calls that were timed.
        median_ms: Median time of a call, from uint8 faces to probabilities.
        faces_per_s: Faces a second at that median.
    """

    threads: int
    batch: int
    calls: int
    median_ms: float
    faces_per_s: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What a model costs.

    Attributes:
        model: Its name.
        parameters: Values in the network.
        macs: Multiply-accumulates for one face; None if they cannot be counted.
        file_bytes: Size of its file; None for a run, whose checkpoint holds its optimiser too: `mien export` makes one.
        timings: For each number of threads and size of batch; empty if it was not timed.
    """

    model: str
    parameters: int
    macs: int | None
    file_bytes: int | None
    timings: tuple[Timing, ...]


def measure_costs(
    candidates: Sequence[Candidate], faces: FaceSet, *, timed: bool, progress: Callable[[float], None]
) -> tuple[Cost, ...]:
    """Measure models side by side.

    They are timed in turn, several times over, so that whatever else the machine does falls on all alike.

    Args:
        candidates: The models.
        faces: Faces to ask them about.
        timed: Whether to take the time as well.
        progress: Called now and then with the share done, 0-1.
    """
    timings: dict[str, list[Timing]] = {candidate.name: [] for candidate in candidates}
    ways = [(threads, batch) for threads in THREADS for batch in BATCHES] if timed else []
    for done, (threads, batch) in enumerate(ways):
        rows = np.arange(batch) % len(faces)
        batch_u8 = np.asarray(faces.faces_u8[rows])
        for candidate, seconds in zip(candidates, _time(candidates, threads, batch_u8), strict=True):
            median = statistics.median(seconds)
            timings[candidate.name].append(Timing(threads, batch, len(seconds), 1000 * median, batch / median))
        progress((done + 1) / len(ways))
    return tuple(
        Cost(
            model=candidate.name,
            parameters=candidate.parameters,
            macs=candidate.macs,
            file_bytes=candidate.file_bytes,
            timings=tuple(timings[candidate.name]),
        )
        for candidate in candidates
    )


def _time(candidates: Sequence[Candidate], threads: int, batch_u8: NDArray[np.uint8]) -> list[list[float]]:
    """Return the seconds of each model's calls.

    A turn is several calls, the first of which does not count: threads of the model before may still be spinning.
    """
    asks = [candidate.ask(threads) for candidate in candidates]
    seconds: list[list[float]] = [[] for _ in asks]
    for _ in range(ROUNDS):
        for ask, taken in zip(asks, seconds, strict=True):
            ask(batch_u8)
            started = now = time.perf_counter()
            for _ in range(CALLS):
                before = now
                ask(batch_u8)
                now = time.perf_counter()
                taken.append(now - before)
                if now - started > BUDGET_S / ROUNDS:
                    break
    return seconds
