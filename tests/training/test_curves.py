import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from mien.training.curves import COLOURS, draw_curves
from mien.training.run_folder import RunFolder


def test_the_curves_are_those_of_the_metrics(
    tiny_run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: dict[tuple[str, str], list[float]] = {}
    plot = Axes.plot

    def listening(self: Axes, epochs: list[int], values: list[float], **style: object) -> object:
        drawn[str(style["color"]), str(style["label"])] = values
        return plot(self, epochs, values, **style)

    monkeypatch.setattr(Axes, "plot", listening)
    draw_curves(tiny_run, tmp_path / "curves.png")
    rows = tiny_run.metrics()
    assert drawn[COLOURS["train"], "Training, augmented (not measured alike)"] == [
        float(row["train_accuracy"]) for row in rows
    ]
    assert drawn[COLOURS["validation"], "PublicTest, mean weights"] == [
        float(row["validation_accuracy"]) for row in rows
    ]
    with Image.open(tmp_path / "curves.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    for colour in COLOURS.values():
        rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert (np.abs(pixels.astype(int) - rgb).sum(2) < 30).sum() > 100


def test_one_epoch_can_be_drawn(tiny_run: RunFolder, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(tiny_run.path, copy)
    lines = (copy / "metrics.csv").read_text().splitlines()
    (copy / "metrics.csv").write_text("\n".join(lines[:2]) + "\n")
    draw_curves(RunFolder(copy), tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 5000
