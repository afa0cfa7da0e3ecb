from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.data.faceset import FaceSet
from mien.evaluation import cost
from mien.evaluation.candidates import Ask, open_candidate
from mien.evaluation.cost import measure_costs
from mien.training.run_folder import RunFolder
from mien.weights import bundled_models


def _noting(notes: list[tuple[str, int, int]], name: str) -> Callable[[int], Ask]:
    """Return what opens a model that only notes who was asked, with how many threads, about how many faces."""

    def ask(threads: int) -> Ask:
        def probabilities(faces_u8: np.ndarray) -> np.ndarray:
            notes.append((name, threads, len(faces_u8)))
            return np.full((len(faces_u8), 7), 1 / 7, np.float32)

        return probabilities

    return ask


def test_models_are_timed_in_turn_in_every_way(faceset: FaceSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "ROUNDS", 2)
    monkeypatch.setattr(cost, "CALLS", 2)
    notes: list[tuple[str, int, int]] = []
    bundled = open_candidate("mien-s")
    both = [replace(bundled, name=name, ask=_noting(notes, name)) for name in "ab"]
    found = measure_costs(both, faceset, timed=True, progress=lambda share: None)
    assert [name for name, _, _ in notes[:12]] == list("aaabbb" * 2), "two turns: a call to warm up, two that count"
    assert list(dict.fromkeys((threads, n) for _, threads, n in notes)) == [(1, 1), (1, 64), (2, 1), (2, 64)]
    assert [(t.threads, t.batch, t.calls) for t in found[0].timings] == [(1, 1, 4), (1, 64, 4), (2, 1, 4), (2, 64, 4)]
    for timing in found[1].timings:
        assert timing.faces_per_s == pytest.approx(1000 * timing.batch / timing.median_ms)


def test_the_median_is_the_calls_median(faceset: FaceSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that says so: a call takes 1, 5 and 3 s."""
    monkeypatch.setattr(cost, "ROUNDS", 3)
    monkeypatch.setattr(cost, "THREADS", (1,))
    monkeypatch.setattr(cost, "BATCHES", (2,))
    ticks = iter([0.0, 1.0, 10.0, 15.0, 20.0, 23.0])
    monkeypatch.setattr(cost.time, "perf_counter", lambda: next(ticks))
    model = replace(open_candidate("mien-s"), ask=_noting([], "a"))
    (timing,) = measure_costs([model], faceset, timed=True, progress=lambda share: None)[0].timings
    assert (timing.median_ms, timing.faces_per_s) == pytest.approx((3000, 2 / 3))


def test_sizes_are_the_cards_and_the_files(faceset: FaceSet) -> None:
    (found,) = measure_costs([open_candidate("mien-s")], faceset, timed=False, progress=lambda share: None)
    assert found.parameters == 1_046_464
    assert found.file_bytes == Path(bundled_models()["mien-s"]).stat().st_size
    assert found.timings == ()


def test_a_checkpoints_size_is_not_set_beside_that_of_a_models_file(faceset: FaceSet, tiny_run: RunFolder) -> None:
    models = [open_candidate(str(tiny_run.path)), open_candidate("mien-s")]
    run, model = measure_costs(models, faceset, timed=False, progress=lambda share: None)
    assert run.file_bytes is None
    assert model.file_bytes
