import shutil
from typing import NoReturn

import pytest
import torch
from torch import nn

from mien.training import compilation
from mien.training.compilation import choose


def _batch() -> tuple[nn.Module, torch.Tensor]:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 7))
    return network, torch.rand(4, 1, 8, 8)


def test_a_recipe_that_decides_is_not_measured() -> None:
    def batch() -> NoReturn:
        pytest.fail("nothing need be built")

    assert choose("off", batch, device="cpu", bf16=False).compiled is False
    assert choose("on", batch, device="cpu", bf16=False).compiled is True


def test_bf16_is_never_compiled_on_a_processor() -> None:
    """There the compiled gradients of mien's networks are NaN (PyTorch 2.13)."""
    for wanted in ("on", "auto"):
        chosen = choose(wanted, _batch, device="cpu", bf16=True)
        assert not chosen.compiled
        assert "precision=fp32" in chosen.reason


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's own, as its compiler is imported
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_the_faster_way_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    times = {True: 1.0, False: 2.0}
    steps: list[bool] = []
    real = compilation._step

    def step(way: nn.Module, example: torch.Tensor, bf16: bool) -> None:
        real(way, example, bf16)
        steps.append(hasattr(way, "_orig_mod"))  # so torch marks a compiled module

    def clock() -> float:
        return sum(times[compiled] for compiled in steps)

    monkeypatch.setattr(compilation, "_step", step)
    monkeypatch.setattr(compilation.time, "perf_counter", clock)
    chosen = choose("auto", _batch, device="cpu", bf16=False)
    assert chosen.compiled
    assert chosen.reason == "measured 2.00 times as fast compiled"
    times[True] = 4.0
    assert not choose("auto", _batch, device="cpu", bf16=False).compiled
