import csv
import shutil
import signal
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mien.data.faceset import FaceSet, open_faceset
from mien.data.split import divide
from mien.errors import DataError, ModelError, TrainingError, TrainingStopped
from mien.labels import EXPRESSIONS, FERPLUS_COLUMNS
from mien.models.mien_nets import WhitenedStem
from mien.preprocess import network_input
from mien.training import fit, module
from mien.training.batches import Batch, TrainingBatches
from mien.training.begin import begin
from mien.training.module import TrainingModule
from mien.training.optimiser import MuonAndSGD, rate
from mien.training.recipe import AugmentationSection, Recipe, ScheduleSection
from mien.training.recipe_files import load_recipe
from mien.training.run_folder import RunFolder
from mien.training.torch_classifier import TorchClassifier
from mien.training.trackers import open_trackers
from mien.training.train import resume, train, train_at
from mien.training.watcher import EpochMetrics, StepProgress, Watcher
from tests.conftest import PLAIN, TINY, drawn_faceset

FOLDER = (
    "checkpoints/last.ckpt",
    "environment.json",
    "learning-curves.png",
    "metrics.csv",
    "predictions.parquet",
    "recipe.yaml",
)
SHORT = (*TINY, "epochs=3")


def _weights(run: RunFolder) -> dict[str, torch.Tensor]:
    return run.network().state_dict()


def test_the_tiny_net_learns_the_drawn_faces(tiny_run: RunFolder) -> None:
    score = tiny_run.card().score
    assert score.split == "PublicTest"
    assert score.n == 35
    assert score.accuracy > 0.8, "chance is 1/7"


class Notes(Watcher):
    said: list[str]

    def __init__(self) -> None:
        self.said = []

    def on_note(self, note: str) -> None:
        self.said.append(note)


def test_a_network_that_calls_all_faces_the_same_is_named(
    faceset_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes, happy = Notes(), np.eye(7, dtype=np.float32)[[EXPRESSIONS.index("happy")]]
    monkeypatch.setattr(fit, "network_logits", lambda network, inputs: np.repeat(happy, len(inputs), axis=0))
    train(load_recipe("mien-s", (*TINY, "epochs=1")), data=faceset_folder, out=tmp_path, watcher=notes)
    assert notes.said[-1] == (
        "The network has collapsed: it calls 35 of 35 faces of PublicTest happy. Give it more epochs, or another rate "
        "(--set optimiser.lr=…)."
    )


def test_a_network_that_has_learnt_from_rounding_is_named(
    faceset_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As grey faces in three channels once made one: 85 % in bf16, 40 % in single precision."""
    quiet, loud = Notes(), Notes()
    run = train(load_recipe("mien-s", SHORT), data=faceset_folder, out=tmp_path, watcher=quiet)
    validated = float(run.metrics()[-1]["validation_accuracy"])
    assert (run.card().score.accuracy, quiet.said) == (pytest.approx(validated, abs=1e-5), [])
    logits, labels = run.predictions()
    wrong = np.roll(np.eye(logits.shape[1], dtype=np.float32)[labels], 1, axis=1)
    monkeypatch.setattr(fit, "network_logits", lambda network, inputs: wrong)
    train(load_recipe("mien-s", SHORT), data=faceset_folder, out=tmp_path, watcher=loud)
    (note,) = loud.said
    assert note.startswith("In single precision, in which it will be used, the network is right about 0.0 %")
    assert note.endswith(f" {100 * validated:.1f} %. It has learnt from rounding: train it with --set precision=fp32.")


def test_a_run_folder_holds_what_it_promises(tiny_run: RunFolder) -> None:
    names = sorted(path.relative_to(tiny_run.path).as_posix() for path in tiny_run.path.rglob("*") if path.is_file())
    names.remove(".lock")
    assert names == [*FOLDER]
    environment = tiny_run.environment()
    assert environment["packages"]["torch"] == torch.__version__
    assert environment["packages"].keys() >= {"mien", "lightning", "numpy", "onnxruntime"}
    assert environment["recipe_sha256"] == tiny_run.recipe.sha256()
    assert environment["data_sha256"] == open_faceset(Path(environment["data_folder"])).sha256
    assert environment["seed"] == tiny_run.recipe.seed
    assert environment["threads"] >= 1
    assert all(environment[name] for name in ("python", "platform", "processor", "commit"))
    with tiny_run.metrics_path.open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 13))
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])


def test_predictions_are_what_the_final_weights_give(
    tiny_run: RunFolder, faceset_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits, labels = tiny_run.predictions()
    faces = open_faceset(faceset_folder).split("PublicTest")
    np.testing.assert_array_equal(labels, faces.labels)
    monkeypatch.setattr("mien.training.torch_classifier.BATCH", 8)
    np.testing.assert_allclose(logits, TorchClassifier(tiny_run).logits(np.asarray(faces.faces_u8)), atol=1e-5)


def test_batches_that_add_up_are_one_large_batch(faceset_folder: Path, tmp_path: Path) -> None:
    """Also where they do not fill the last step (4 batches, 3 a step), or not even one (4, 5 a step)."""
    for batch, accumulate, alike in ((35, 2, 70), (35, 3, 105), (35, 5, 140)):
        summed, large = (
            train(load_recipe("mien-s", [*PLAIN, *batches]), data=faceset_folder, out=tmp_path)
            for batches in ([f"batch_size={batch}", f"accumulate={accumulate}"], [f"batch_size={alike}"])
        )
        weights = _weights(summed)
        for name, weight in _weights(large).items():
            torch.testing.assert_close(weights[name], weight, atol=1e-5, rtol=1e-4)
        if alike == 140:  # one step of each, so that all faces are asked before anything is learnt
            loss = float(large.metrics()[0]["train_loss"])
            assert float(summed.metrics()[0]["train_loss"]) == pytest.approx(loss, rel=1e-4)


def test_a_clipped_step_is_no_longer_than_the_norm_allows(faceset_folder: Path, tmp_path: Path) -> None:
    lengths = []
    for clip in (None, 1e-3):
        settings = [*PLAIN, "batch_size=140", *([f"clip_norm={clip}"] if clip else [])]  # one step
        run = train(load_recipe("mien-s", settings), data=faceset_folder, out=tmp_path)
        torch.manual_seed(run.recipe.seed)
        first = run.new_network().state_dict()
        steps = [(weight - first[name]).square().sum() for name, weight in _weights(run).items()]
        lengths.append(float(torch.stack(steps).sum().sqrt()))
    assert lengths[0] > 1e-3
    assert lengths[1] == pytest.approx(0.1 * 1e-3, rel=0.01)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(faceset_folder: Path, tmp_path: Path) -> None:
    first, second, other = (
        _weights(train(load_recipe("mien-s", [*SHORT, f"seed={seed}"]), data=faceset_folder, out=tmp_path))
        for seed in (1, 1, 2)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)
    assert sorted(path.name for path in tmp_path.glob("tiny-*")) == ["tiny-001", "tiny-002", "tiny-003"]


class Stop(Watcher):
    """Presses Ctrl-C after a step; in the middle of the third epoch, if none is said."""

    def __init__(self, step: int = 10) -> None:
        self._step = step

    def on_step(self, progress: StepProgress) -> None:
        if progress.step == self._step:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(
    ("step", "where"),
    [
        (10, "in epoch 3 of 3, after batch 2; all is kept"),
        (3, "in epoch 1 of 3, after batch 3; all is kept"),
        (8, "after epoch 2 of 3; all is kept"),
    ],
)
def test_ctrl_c_saves_and_the_run_goes_on_to_the_same_weights(
    faceset_folder: Path, tmp_path: Path, step: int, where: str
) -> None:
    recipe = load_recipe("mien-s", [*SHORT, "precision=fp32"])
    whole = train(recipe, data=faceset_folder, out=tmp_path)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(TrainingStopped, match=rf"^Stopped {where}. Go on with: mien train --resume .*tiny-002$"):
        train(recipe, data=faceset_folder, out=tmp_path, watcher=Stop(step))
    assert signal.getsignal(signal.SIGINT) is handler
    stopped = RunFolder(tmp_path / "tiny-002")
    with pytest.raises(TrainingError, match="has not finished"):
        stopped.card()
    steps: list[int] = []

    class Listen(Watcher):
        def on_step(self, progress: StepProgress) -> None:
            steps.append(progress.step)

    resumed = resume(stopped, watcher=Listen())
    assert steps == list(range(step + 1, 13)), "what was learnt before Ctrl-C is not learnt again"
    assert all(torch.equal(value, _weights(resumed)[name]) for name, value in _weights(whole).items())
    for row, expected in zip(resumed.metrics(), whole.metrics(), strict=True):
        assert row | {"faces_per_s": "", "seconds": ""} == expected | {"faces_per_s": "", "seconds": ""}


def test_ctrl_c_waits_for_the_step_that_batches_add_up_to(faceset_folder: Path, tmp_path: Path) -> None:
    recipe = load_recipe("mien-s", [*SHORT, "precision=fp32", "accumulate=2", "batch_size=17"])
    whole = train(recipe, data=faceset_folder, out=tmp_path)

    class StopInBetween(Watcher):
        heard = 0

        def on_step(self, progress: StepProgress) -> None:
            self.heard += 1
            if self.heard == 3:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(TrainingStopped, match="after batch 4; all is kept"):
        train(recipe, data=faceset_folder, out=tmp_path, watcher=StopInBetween())
    resumed = resume(RunFolder(tmp_path / "tiny-002"))
    assert all(torch.equal(value, _weights(resumed)[name]) for name, value in _weights(whole).items())


@pytest.mark.parametrize(
    ("settings", "stops"),
    [
        (["schedule.name=plateau", "schedule.warmup=0", "schedule.patience=0", "schedule.factor=0.3"], False),
        (["patience=2"], True),
        (["optimiser.name=adam", "optimiser.lr=0.003"], False),
    ],
)
def test_what_waits_for_the_validation_loss_goes_on_as_well(tmp_path: Path, settings: list[str], stops: bool) -> None:
    """A run that is stopped after every single epoch, against one that is left alone."""
    faces = drawn_faceset()
    watched = faces.splits == faces.split_names.index("PublicTest")
    wrong = np.where(watched, (faces.labels + 1) % 7, faces.labels)  # the more is learnt, the larger the loss on these
    data = tmp_path / "wrong.faceset"
    replace(faces, labels=wrong.astype(faces.labels.dtype)).save(data)
    recipe = load_recipe("mien-s", [*TINY, "epochs=8", "precision=fp32", "optimiser.name=sgd", *settings])
    whole = train(recipe, data=data, out=tmp_path)

    class StopAfterAnEpoch(Watcher):
        def on_epoch(self, metrics: EpochMetrics) -> None:
            signal.raise_signal(signal.SIGINT)

    run = None
    for _ in range(9):
        try:
            if run is None:
                train(recipe, data=data, out=tmp_path, watcher=StopAfterAnEpoch())
            else:
                resume(run, watcher=StopAfterAnEpoch())
        except TrainingStopped:
            run = RunFolder(tmp_path / "tiny-002")
    assert run is not None
    assert run.finished
    assert len(run.metrics()) == len(whole.metrics())
    assert (len(run.metrics()) < 8) == stops
    assert all(torch.equal(value, _weights(run)[name]) for name, value in _weights(whole).items())


DROPPING = "network={convs: [{out: 8, norm: true, pool: 4, dropout: 0.3}], affines: [{out: 16, dropout: 0.5}]}"


def test_dropout_draws_follow_from_the_seed_and_the_step_alone(faceset_folder: Path, tmp_path: Path) -> None:
    """Whatever else the process has drawn, and also where a run was stopped and goes on."""
    recipe = load_recipe("mien-s", [*SHORT, "precision=fp32", "optimiser.name=sgd", DROPPING])
    whole = train_at(tmp_path / "whole", recipe, data=faceset_folder)
    torch.rand(7)
    with pytest.raises(TrainingStopped):
        train_at(tmp_path / "stopped", recipe, data=faceset_folder, watcher=Stop())
    torch.rand(3)
    resumed = train_at(tmp_path / "stopped", recipe, data=faceset_folder)
    assert all(torch.equal(value, _weights(resumed)[name]) for name, value in _weights(whole).items())
    written = whole.checkpoint_path.stat().st_mtime_ns
    assert train_at(tmp_path / "whole", recipe, data=faceset_folder).finished
    assert whole.checkpoint_path.stat().st_mtime_ns == written, "what has finished is left as it is"


def test_a_watcher_hears_of_every_step_and_epoch(faceset_folder: Path, tmp_path: Path) -> None:
    steps: list[StepProgress] = []
    epochs: list[EpochMetrics] = []

    class Listen(Watcher):
        def on_step(self, progress: StepProgress) -> None:
            steps.append(progress)

        def on_epoch(self, metrics: EpochMetrics) -> None:
            epochs.append(metrics)

    train(load_recipe("mien-s", SHORT), data=faceset_folder, out=tmp_path, watcher=Listen())
    assert [progress.step for progress in steps] == list(range(1, 13))
    assert {progress.steps for progress in steps} == {12}
    assert [metrics.epoch for metrics in epochs] == [1, 2, 3]
    assert all(0 <= metrics.validation_accuracy <= 1 and metrics.faces_per_s > 0 for metrics in epochs)


def test_a_loss_that_is_no_number_stops_the_run(faceset_folder: Path, tmp_path: Path) -> None:
    recipe = load_recipe("mien-s", [*SHORT, "optimiser.name=sgd", "optimiser.lr=1e30"])
    with pytest.raises(
        TrainingError, match=r"loss became (nan|inf) in epoch \d, batch \d; nothing of this epoch is saved"
    ):
        train(recipe, data=faceset_folder, out=tmp_path)


def test_weights_that_the_last_batch_ruins_overwrite_no_checkpoint(faceset_folder: Path, tmp_path: Path) -> None:
    """With one batch an epoch nothing but the validation loss shows what its step did."""
    recipe = load_recipe(
        "mien-s", [*SHORT, "optimiser.name=sgd", "optimiser.lr=1e30", "batch_size=210", "schedule.warmup=1"]
    )
    with pytest.raises(
        TrainingError, match=r"validation loss became nan in epoch 1, after batch 1; nothing of this epoch is saved"
    ):
        train(recipe, data=faceset_folder, out=tmp_path)
    run = RunFolder(tmp_path / "tiny-001")
    assert not run.checkpoint_path.exists()
    assert not run.metrics()


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        (["input.face_px=64", "input.view_px=60"], DataError, r"takes faces of \(64, 64\), and drawn has \(48, 48\)"),
        (["data.train=Train"], DataError, r"takes the split 'Train', and .*PrivateTest; .*--set data\.train=SPLIT"),
        (["network=mien-x"], ModelError, "no network 'mien-x'"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_a_folder_is_made(
    faceset_folder: Path, tmp_path: Path, changes: list[str], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        train(load_recipe("mien-s", [*SHORT, *changes]), data=faceset_folder, out=tmp_path)
    assert not list(tmp_path.glob("tiny-*"))


def test_a_number_that_another_training_takes_meanwhile_is_left_to_it(
    faceset: FaceSet, faceset_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_recipe("mien-s", [*SHORT, "name=mine[2]", "epochs=1"])
    look = RunFolder.next_path
    taken: list[Path] = []

    def slow(parent: Path, recipe: Recipe) -> Path:
        path = look(parent, recipe)
        if not taken:
            taken.append(begin(path, recipe, faceset, faceset_folder).path)
        return path

    monkeypatch.setattr(RunFolder, "next_path", slow)
    run = train(recipe, data=faceset_folder, out=tmp_path)
    assert [taken[0].name, run.path.name] == ["mine[2]-001", "mine[2]-002"]


def test_no_part_of_private_test_is_learnt_from_or_chosen_by(faceset: FaceSet, tmp_path: Path) -> None:
    divide(faceset, {"Training": 0.5, "PublicTest": 0.5}, only="PrivateTest").save(tmp_path / "part.faceset")
    with pytest.raises(DataError, match="has PrivateTest's faces, which are for reporting"):
        train(load_recipe("mien-s", TINY), data=tmp_path / "part.faceset", out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_run_goes_on_where_its_faces_lie_now(tmp_path: Path) -> None:
    drawn_faceset().save(tmp_path / "a.faceset")
    run = train(load_recipe("mien-s", [*SHORT, "epochs=1"]), data=tmp_path / "a.faceset", out=tmp_path)
    card = run.card()
    run.predictions_path.unlink()  # as if it had been stopped
    (tmp_path / "a.faceset").rename(tmp_path / "b.faceset")
    with pytest.raises(DataError, match="is gone; say where it is now with --data"):
        resume(run)
    assert resume(run, data=tmp_path / "b.faceset").card() == card


def test_a_run_whose_faces_changed_does_not_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "a.faceset"
    drawn_faceset().save(folder)
    run = train(load_recipe("mien-s", [*SHORT, "epochs=1"]), data=folder, out=tmp_path)
    run.predictions_path.unlink()  # as if it had been stopped
    folder.rename(tmp_path / "old")
    drawn_faceset(seed=1).save(folder)
    with pytest.raises(TrainingError, match="has changed since"):
        resume(run)
    for number, part in enumerate(
        ({"groups": drawn_faceset().groups[::-1].copy()}, {"label_names": drawn_faceset().label_names[::-1]})
    ):
        folder.rename(tmp_path / f"old {number}")
        replace(drawn_faceset(), **part).save(folder)
        with pytest.raises(TrainingError, match="has changed since"):
            resume(run)


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="not a run folder"):
        RunFolder(tmp_path)


@pytest.mark.parametrize("name", ["environment.json", "checkpoints/last.ckpt"])
def test_a_broken_file_in_a_run_is_named(tiny_run: RunFolder, tmp_path: Path, name: str) -> None:
    copy = tmp_path / "run"
    shutil.copytree(tiny_run.path, copy)
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(TrainingError, match=rf"{Path(name).name} is .*broken; (copy it back, or )?start a new run"):
        RunFolder(copy).network()


def test_a_recipe_may_say_how_many_threads_it_takes(faceset_folder: Path, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        recipe = load_recipe("mien-s", [*SHORT, "epochs=1", "resources.threads=1"])
        assert train(recipe, data=faceset_folder, out=tmp_path).environment()["threads"] == 1
    finally:
        torch.set_num_threads(threads)


def test_a_truncated_checkpoint_is_named_before_a_run_goes_on(tiny_run: RunFolder, tmp_path: Path) -> None:
    shutil.copytree(tiny_run.path, tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    run.predictions_path.unlink()  # as if it had been stopped
    run.checkpoint_path.write_bytes(run.checkpoint_path.read_bytes()[:5000])
    with pytest.raises(TrainingError, match="last.ckpt is broken; copy it back, or start a new run"):
        resume(run)


def test_junk_in_place_of_a_runs_files_is_named(tiny_run: RunFolder, tmp_path: Path) -> None:
    shutil.copytree(tiny_run.path, tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    for path, read in (
        (run.checkpoint_path, run.network),
        (run.predictions_path, run.predictions),
        (run.metrics_path, run.metrics),
    ):
        path.write_text("junk")
        with pytest.raises(TrainingError, match=rf"{path.name} is broken"):
            read()


def test_the_rate_changes_with_every_step_and_follows_the_triangle(
    faceset_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []
    step = MuonAndSGD.step

    def listening(self: MuonAndSGD, closure: object = None) -> object:
        rates.append(self.param_groups[0]["lr"])
        return step(self, closure)  # type: ignore[arg-type]

    monkeypatch.setattr(MuonAndSGD, "step", listening)
    train(load_recipe("mien-s", [*SHORT, "optimiser.muon_lr=0.1"]), data=faceset_folder, out=tmp_path)
    assert rates == pytest.approx([0.1 * rate(i, ScheduleSection(), steps=12, epochs=3) for i in range(12)])


def test_the_network_is_shown_other_orders_and_other_draws_in_each_epoch(
    faceset_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[Batch] = []
    step = TrainingModule.training_step

    def listening(self: TrainingModule, batch: Batch, index: int) -> object:
        batches.append(batch)
        return step(self, batch, index)

    monkeypatch.setattr(TrainingModule, "training_step", listening)
    train(load_recipe("mien-s", [*SHORT, "augmentation.flip=true"]), data=faceset_folder, out=tmp_path)
    assert len({batch.seed for batch in batches}) == 12, "a draw of its own for each step"
    mirrored = []
    for epoch in range(3):
        seen = batches[4 * epoch : 4 * epoch + 4]
        faces = np.concatenate([batch.faces_u8.numpy() for batch in seen])
        mirrored.append(
            dict(zip((f.tobytes() for f in faces), torch.cat([b.mirrored for b in seen]).tolist(), strict=True))
        )
    assert list(mirrored[0]) != list(mirrored[1]), "another order"
    assert all(mirrored[0][face] != mirrored[1][face] for face in mirrored[0]), "the other half mirrored"


def test_the_final_weights_are_a_running_mean_and_the_metrics_are_theirs(
    faceset_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.training.fit.VALIDATION_BATCH", 16)  # the 35 faces as 16, 16 and 3
    run = train(load_recipe("mien-s", [*SHORT, "precision=fp32", "ema_decay=0.5"]), data=faceset_folder, out=tmp_path)
    checkpoint = torch.load(run.checkpoint_path, weights_only=True)
    mean, last = (
        checkpoint["state_dict"]["network.head.weight"],
        checkpoint["current_model_state"]["network.head.weight"],
    )
    assert not torch.equal(mean, last)
    with run.metrics_path.open() as file:
        row = list(csv.DictReader(file))[-1]
    logits, labels = run.predictions()
    loss = torch.nn.functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels))
    assert float(row["validation_accuracy"]) == pytest.approx(run.card().score.accuracy, abs=1e-4)
    assert float(row["validation_loss"]) == pytest.approx(float(loss), abs=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        ["optimiser.name=adam", "optimiser.lr=0.003", "schedule.name=cosine", "clip_norm=1.0"],
        ["optimiser.name=rmsprop", "optimiser.lr=0.001", "schedule.name=step", "schedule.step_epochs=4"],
        ["optimiser.name=sgd", "optimiser.lr=0.02", "schedule.name=plateau", "class_weights=balanced"],
        ["optimiser.name=adamw", "optimiser.lr=0.003", "schedule.name=constant", "augmentation.mixup_alpha=0.2"],
    ],
)
def test_every_optimiser_and_schedule_learns(faceset_folder: Path, tmp_path: Path, changes: list[str]) -> None:
    run = train(load_recipe("mien-s", [*TINY, *changes]), data=faceset_folder, out=tmp_path)
    losses = [float(row["train_loss"]) for row in run.metrics()]
    assert losses[-1] < losses[0] - 0.1


def test_a_plateau_lowers_the_rate(faceset_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []
    step = torch.optim.SGD.step

    def listening(self: torch.optim.SGD, closure: object = None) -> object:
        rates.append(self.param_groups[0]["lr"])
        return step(self, closure)  # type: ignore[arg-type]

    monkeypatch.setattr(torch.optim.SGD, "step", listening)
    still = ["optimiser.name=sgd", "optimiser.lr=1e-4", "ema_decay=0", "schedule.name=plateau"]
    slow = ["schedule.patience=1", "schedule.factor=0.5"]
    train(load_recipe("mien-s", [*TINY, *still, *slow]), data=faceset_folder, out=tmp_path)
    assert [round(1e-4 / value) for value in rates[::4]] == [1, 1, 1, 2, 2, 4, 4, 8, 8, 16, 16, 32]


def test_a_run_that_no_longer_improves_stops_early(faceset_folder: Path, tmp_path: Path) -> None:
    """With a rate of next to nothing nothing improves, so `patience` epochs after the first are all there are."""
    still = ["optimiser.lr=1e-12", "epochs=12", "patience=2"]
    run = train(load_recipe("mien-s", [*PLAIN, *still]), data=faceset_folder, out=tmp_path)
    assert len(run.metrics()) == 1 + 2
    assert run.card().provenance.epochs == len(run.metrics())


def test_the_stem_starts_whitened_on_the_faces_to_learn_from(faceset_folder: Path, tmp_path: Path) -> None:
    run = train(load_recipe("mien-s", [*SHORT, "epochs=1"]), data=faceset_folder, out=tmp_path)
    network = run.network()
    stem = network.stem
    assert isinstance(stem, WhitenedStem)
    faces = open_faceset(faceset_folder).split("Training").faces_u8
    again = WhitenedStem(1, size=4, stride=2)
    again.fit(torch.from_numpy(network_input(np.asarray(faces), run.recipe.input.spec())))
    torch.testing.assert_close(stem.weight.abs(), again.weight.abs(), atol=1e-3, rtol=1e-3)


def test_each_epoch_sees_each_face_once_and_mirrors_it_every_second_time() -> None:
    faces = drawn_faceset().split("Training")
    batches = TrainingBatches(
        faces.faces_u8, np.eye(7, dtype=np.float32)[faces.labels], batch_size=35, seed=0, flip="alternate"
    )
    mirrored = []
    for epoch in range(3):
        batches.epoch = epoch
        seen = {
            face.numpy().tobytes(): bool(m)
            for batch in batches
            for face, m in zip(batch.faces_u8, batch.mirrored, strict=True)
        }
        assert len(seen) == 140
        mirrored.append(seen)
    assert all(mirrored[0][face] != mirrored[1][face] == (not mirrored[2][face]) for face in mirrored[0])
    assert 40 < sum(mirrored[0].values()) < 100


def test_batches_can_be_added_up_for_one_step(faceset_folder: Path, tmp_path: Path) -> None:
    """140 faces in batches of 35 are four batches an epoch: two steps when two are added up."""
    steps: list[int] = []

    class Listen(Watcher):
        def on_step(self, progress: StepProgress) -> None:
            steps.append(progress.step)

    train(load_recipe("mien-s", [*SHORT, "accumulate=2"]), data=faceset_folder, out=tmp_path, watcher=Listen())
    assert steps == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6]


def test_the_first_epochs_can_see_smaller_pictures(
    faceset_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides: list[int] = []
    real = module.augment

    def augment(*arguments: Any) -> torch.Tensor:
        inputs = real(*arguments)
        sides.append(inputs.shape[-1])
        return inputs

    monkeypatch.setattr(module, "augment", augment)
    settings = [*TINY, "epochs=5", "augmentation.early_px=32", "augmentation.early_share=0.4"]
    train(load_recipe("mien-s", settings), data=faceset_folder, out=tmp_path)
    assert sides == [32] * 8 + [44] * 12


def test_the_last_epochs_can_show_faces_as_they_will_be_met(
    faceset_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[AugmentationSection] = []
    real = module.augment

    def augment(faces: torch.Tensor, mirrored: torch.Tensor, asked: AugmentationSection, *rest: Any) -> torch.Tensor:
        seen.append(asked)
        return real(faces, mirrored, asked, *rest)

    monkeypatch.setattr(module, "augment", augment)
    settings = [*TINY, "epochs=5", "augmentation.light_share=0.4", "augmentation.mixup_alpha=0.2"]
    recipe = load_recipe("mien-s", settings)
    train(recipe, data=faceset_folder, out=tmp_path)
    full = recipe.augmentation
    light = {"shift_px": full.shift_px / 2, "rotation_deg": full.rotation_deg / 2, "zoom": full.zoom / 2}
    light |= {"cutout_px": 0, "mixup_alpha": 0}
    assert seen == [full] * 12 + [full.model_copy(update=light)] * 8


def test_votes_can_be_answered_by_a_second_head(tmp_path: Path) -> None:
    """The network gets an output for each kind of vote; what it is asked for later are the classes alone."""
    faces = drawn_faceset()
    votes = np.zeros((len(faces), len(FERPLUS_COLUMNS)), np.uint8)
    votes[np.arange(len(faces)), faces.labels] = 10  # whatever the columns mean: they follow from the picture
    replace(faces, votes=votes, vote_names=FERPLUS_COLUMNS).save(tmp_path / "voted.faceset")
    recipe = load_recipe("mien-s", [*TINY, "targets.vote_head=0.5"])
    run = train(recipe, data=tmp_path / "voted.faceset", out=tmp_path)
    head = torch.load(run.checkpoint_path, weights_only=True)["state_dict"]["network.head.weight"]
    assert len(head) == 7 + 10
    logits, labels = run.predictions()
    assert logits.shape == (35, 7)
    assert (logits.argmax(1) == labels).mean() > 0.5


@pytest.mark.parametrize("setting", ["targets.kind=votes", "targets.vote_share=0.5", "targets.vote_head=0.3"])
def test_a_recipe_on_votes_needs_faces_with_votes(faceset_folder: Path, tmp_path: Path, setting: str) -> None:
    with pytest.raises(
        DataError, match="learns from votes, and drawn has none; FER2013 gets them by `mien data prepare … --votes"
    ):
        train(load_recipe("mien-s", [*TINY, setting]), data=faceset_folder, out=tmp_path)


def test_an_accuracy_is_the_last_epochs_until_there_are_predictions(tiny_run: RunFolder, tmp_path: Path) -> None:
    """The one number of a finished run is that of its card, whatever its training's precision made of it."""
    run = RunFolder(shutil.copytree(tiny_run.path, tmp_path / "run"))
    header, *rows = run.metrics_path.read_text().splitlines()
    columns = header.split(",")
    last = rows[-1].split(",")
    last[columns.index("validation_accuracy")] = "0.125"
    run.metrics_path.write_text("\n".join([header, *rows[:-1], ",".join(last)]) + "\n")
    assert run.accuracy() == run.card().score.accuracy != 0.125
    run.predictions_path.unlink()
    assert run.accuracy() == 0.125
    run.metrics_path.unlink()
    assert run.accuracy() is None


def test_a_run_folder_is_no_place_for_run_folders(tiny_run: RunFolder, faceset_folder: Path) -> None:
    with pytest.raises(TrainingError, match="is itself a run folder; go on with it by --resume"):
        train(tiny_run.recipe, data=faceset_folder, out=tiny_run.path)


def test_tensorboard_and_mlflow_get_the_metrics(faceset_folder: Path, tmp_path: Path) -> None:
    recipe = load_recipe("mien-s", SHORT)
    run = train(recipe, data=faceset_folder, out=tmp_path, trackers=["tensorboard", "mlflow"])
    expected = [float(row["validation_accuracy"]) for row in run.metrics()]
    events = EventAccumulator(str(run.path / "tensorboard"))
    events.Reload()
    np.testing.assert_allclose([event.value for event in events.Scalars("validation_accuracy")], expected, rtol=1e-6)
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        rows = database.execute("select value from metrics where key = 'validation_accuracy' order by step").fetchall()
        settings = dict(database.execute("select key, value from params").fetchall())
    database.close()
    assert [value for (value,) in rows] == expected
    loggers = [open_trackers(["mlflow"], run)[0] for _ in range(2)]
    assert len({logger.version for logger in loggers} | {(run.path / "mlflow-run.txt").read_text()}) == 1, "goes on"
    assert settings["optimiser/muon_lr"] == "0.08"


def test_a_drawn_class_is_one_of_the_votes_and_differs_from_look_to_look() -> None:
    """Half of each face's votes are for one class and half for another: the loss is that of one of them."""
    recipe = load_recipe("mien-s", ["targets.kind=drawn", "label_smoothing=0"])
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(44 * 44, 7))
    training = TrainingModule(network, recipe, recipe.input.spec(), torch.ones(7))
    targets = torch.zeros(1, 7)
    targets[0, [2, 5]] = 0.5
    torch.nn.init.zeros_(network[1].weight)
    with torch.no_grad():
        network[1].bias.copy_(torch.arange(7.0))
    shares = torch.log_softmax(torch.arange(7.0), 0)
    faces, none = torch.zeros(1, 48, 48, dtype=torch.uint8), torch.zeros(1, dtype=torch.bool)
    losses = {
        round(
            float(training.training_step(Batch(faces, targets, torch.zeros(1, 0), none, seed), 0)["loss"].detach()), 3
        )
        for seed in range(20)
    }
    assert losses == {round(-float(shares[label]), 3) for label in (2, 5)}


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's own, as its compiler is imported
def test_a_compiled_run_learns_and_its_checkpoint_is_an_ordinary_one(faceset_folder: Path, tmp_path: Path) -> None:
    run = train(load_recipe("mien-s", [*TINY, "compile=on", "precision=fp32"]), data=faceset_folder, out=tmp_path)
    assert run.environment()["compiled"] is True
    assert run.card().score.accuracy > 0.5, "chance is 1/7"
    assert not any("_orig_mod" in name for name in torch.load(run.checkpoint_path, weights_only=True)["state_dict"])
