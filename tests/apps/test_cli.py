"""The command line as a user meets it: what it prints, what it writes, its exit codes."""

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from rich.color import ColorSystem
from rich.console import Console

from mien.apps.cli import show
from mien.apps.cli.durations import in_words, seconds
from mien.apps.cli.watch import View
from mien.classifier import Classifier
from mien.evaluation.evaluate import evaluate
from mien.reading.face_reading import FrameReading
from mien.reading.live import Newest
from mien.reading.reader import Reader
from mien.reading.sinks.parquet import ParquetSink
from mien.reading.sources import Frame, frames
from mien.training.recipe_files import recipe_files
from mien.training.run_folder import RunFolder
from mien.training.torch_classifier import TorchClassifier
from mien.weights import DEFAULT_MODEL, PINNED, bundled_models
from tests.conftest import CLIP_TIMES_MS, TINY, write_long_clip

Mien = Callable[..., tuple[int, str, str]]
BUNDLED = str(bundled_models()["mien-s"])


def test_help_names_every_command(mien: Mien) -> None:
    code, out, _ = mien("--help")
    assert code == 0
    for command in ("read", "watch", "detectors", "data", "train", "evaluate", "export", "models", "weights", "study"):
        assert f" {command} " in out


def test_read_prints_a_line_a_face(mien: Mien, astronaut: Path) -> None:
    code, out, err = mien("read", astronaut)
    assert code == 0
    assert "astronaut.png" in out
    assert "happy" in out
    assert "detector haar" in err
    assert "mien weights fetch yunet" in err, "says how to get a better detector"


def test_read_json_is_json_and_nothing_else(mien: Mien, astronaut: Path, clip: Path) -> None:
    code, out, err = mien("read", astronaut, clip, "--json")
    rows = json.loads(out)
    assert code == 0
    assert err == ""
    assert [row["face"] for row in rows] == [0, 0, 0, None, 0, 0]
    assert [row["time_s"] for row in rows[1:]] == pytest.approx([ms / 1000 for ms in CLIP_TIMES_MS])
    assert rows[0]["dominant_emotion"] == "happy"


def test_read_writes_tables_and_pictures(mien: Mien, clip: Path, tmp_path: Path) -> None:
    for suffix in (".csv", ".parquet", ".jsonl"):
        code, out, _ = mien("read", clip, "--out", tmp_path / f"r{suffix}", "--annotate", tmp_path / "r.mp4")
        assert code == 0
        assert "5 frames to 0.40 s; a face in 4 of them; 4 readings along" in out
    assert pq.read_metadata(tmp_path / "r.parquet").num_rows == 5
    with (tmp_path / "r.csv").open() as file:
        assert len(list(csv.reader(file))) == 6
    assert (tmp_path / "r.mp4").stat().st_size > 1000


def test_a_folder_may_have_a_dot_and_a_clip_a_colon(
    mien: Mien, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("boxes.2026").mkdir()
    assert mien("read", clip, clip.parent, "--annotate", "boxes.2026")[0] == 0
    assert [path.name for path in Path("boxes.2026").iterdir()] == ["clip.mp4"]
    assert mien("read", clip, "--annotate", "12:30.mp4")[0] == 0
    assert len([*frames(Path("12:30.mp4"))]) == 5


@pytest.mark.parametrize("target", ["x.mp4", "drawn"])
def test_blur_reaches_what_the_command_writes(mien: Mien, clip: Path, tmp_path: Path, target: str) -> None:
    rough = []
    for name, flag in (("sharp", "--thorough"), ("hidden", "--blur")):
        (tmp_path / name).mkdir()
        code, _, err = mien("read", clip, "--annotate", tmp_path / name / target, flag)
        assert code == 0, err
        (made,) = (tmp_path / name).rglob("*.mp4")
        mouth = next(iter(frames(made))).image_bgr[130:150, 143:183].astype(int)
        rough.append(float(np.abs(np.diff(mouth, axis=1)).mean()))
    assert rough[1] < 0.5 * rough[0]


def test_one_broken_file_in_a_folder_is_reported_and_the_others_are_read(
    mien: Mien, astronaut: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.jpg", "c.jpg"):
        Image.open(astronaut).convert("RGB").save(folder / name)
    (folder / "b.jpg").write_text("no picture")
    code, out, err = mien("read", folder, "--out", tmp_path / "r.csv", "--annotate", tmp_path / "drawn")
    assert code == 1
    assert (out.count("a.jpg"), out.count("c.jpg"), out.count("│ happy ")) == (1, 1, 2)
    assert "b.jpg is not a picture" in err
    assert "1 of 3 files could not be read" in err
    with (tmp_path / "r.csv").open() as file:
        assert [Path(row["source"]).name for row in csv.DictReader(file)] == ["a.jpg", "c.jpg"]
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == ["a.jpg", "c.jpg"]
    (folder / "notes.txt").touch()
    code, out, err = mien("read", *sorted(folder.iterdir()))  # what the shell makes of photos/*
    assert (code, out.count("a.jpg"), out.count("c.jpg")) == (1, 1, 1)
    assert "notes.txt is neither a photo nor a clip" in err
    assert "2 of 4 files could not be read" in err
    code, _, err = mien("read", folder / "b.jpg", folder / "notes.txt", folder / "none.jpg")
    assert code == 2
    assert all(said in err for said in ("b.jpg is not a picture", "notes.txt is neither", "none.jpg; check the spell"))
    code, _, err = mien("read", folder / "notes.txt", folder / "none.jpg")
    assert code == 2
    assert all(said in err for said in ("notes.txt is neither", "none.jpg; check the spell"))


def test_what_could_be_read_of_a_damaged_clip_is_kept(mien: Mien, tmp_path: Path) -> None:
    content = write_long_clip(tmp_path / "cut.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: len(content) * 6 // 10])
    code, out, err = mien("read", tmp_path / "cut.mp4", "--out", tmp_path / "r.parquet")
    rows = pq.read_metadata(tmp_path / "r.parquet").num_rows
    assert code == 1
    assert 20 < rows < 50
    assert "cut.mp4 breaks off at" in err
    assert f"cut.mp4: {rows} frames" in out


def test_the_bar_shows_the_place_in_the_clips_also_where_frames_are_skipped(
    mien: Mien, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Bar:
        def __init__(self) -> None:
            self.totals: list[int | None] = []
            self.places: list[int] = []

        def __enter__(self) -> "Bar":
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def add_task(self, description: str, total: int | None) -> int:
            self.totals.append(total)
            return 0

        def update(self, task: int, completed: int) -> None:
            self.places.append(completed)

    bar = Bar()
    monkeypatch.setattr(show, "progress_bar", lambda: bar)
    monkeypatch.setattr(show, "err", Console(stderr=True, force_terminal=True))
    shutil.copy(clip, tmp_path / "second.mp4")
    assert mien("read", clip, tmp_path / "second.mp4", "--every", "0.1s")[0] == 0
    assert bar.totals == [10]
    assert bar.places == [1, 3, 5, 6, 8, 10], "of ten frames, at 0, 40, 130, 150 and 400 ms of either"


def test_largest_reads_one_face(mien: Mien, astronaut: Path, tmp_path: Path) -> None:
    face = Image.open(astronaut).convert("RGB")
    two = Image.new("RGB", (1024, 512))
    two.paste(face, (0, 0))
    two.paste(face.resize((400, 400)), (560, 100))
    two.save(tmp_path / "two.png")
    for flags, count in (([], 2), (["--largest"], 1)):
        rows = json.loads(mien("read", tmp_path / "two.png", "--json", *flags)[1])
        assert len(rows) == count
        assert rows[0]["box"][0] < 500, "the largest first"


@pytest.mark.parametrize(("stated", "taken"), [({}, "passive"), ({"OMP_WAIT_POLICY": "active"}, "active")])
def test_threads_that_wait_sleep_unless_one_says_otherwise(stated: dict[str, str], taken: str) -> None:
    code = (
        "import atexit, os, sys; from mien.apps.cli.main import main; sys.argv[1:] = ['--version'];"
        "atexit.register(lambda: print('torch' in sys.modules, os.environ['OMP_WAIT_POLICY'])); main()"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"} | stated
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == f"False {taken}", "and torch, which reads it as it is loaded, is not yet"


def test_names_are_printed_as_they_are(mien: Mien, astronaut: Path, tmp_path: Path) -> None:
    Image.open(astronaut).convert("RGB").save(tmp_path / "photo[bold].jpg")
    assert "photo[bold].jpg" in mien("read", tmp_path / "photo[bold].jpg")[1]


def test_the_version_is_the_packages(mien: Mien) -> None:
    assert mien("--version")[:2] == (0, f"mien {version('mien')}\n")


def test_the_module_is_the_command_and_any_encoding_will_do(clip: Path) -> None:
    environment = os.environ | {"PYTHONIOENCODING": "cp1252"}
    command = [sys.executable, "-m", "mien", "read", str(clip)]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"happy" in done.stdout


def test_a_photo_without_faces_says_so(mien: Mien, tmp_path: Path) -> None:
    Image.new("RGB", (200, 200), "grey").save(tmp_path / "wall.png")
    code, out, _ = mien("read", tmp_path / "wall.png")
    assert code == 0
    assert "no face found" in out


def test_a_clip_without_faces_gives_rows_without_faces(mien: Mien, shared: Path) -> None:
    code, out, _ = mien("read", shared / "media" / "no_face.mp4", "--json", "--detector", "haar")
    rows = json.loads(out)
    assert code == 0
    assert len(rows) == 95
    assert all(row["face"] is None for row in rows)


def test_the_clip_with_one_face_gives_its_72_rows(mien: Mien, shared: Path) -> None:
    code, out, _ = mien("read", shared / "media" / "single_face.mp4", "--json")
    assert code == 0
    assert [row["frame"] for row in json.loads(out)] == list(range(72))


def test_added_yunet_becomes_the_default(mien: Mien, shared: Path) -> None:
    code, out, _ = mien("weights", "add", shared / "models" / "face_detection_yunet_2023mar.onnx")
    assert (code, out) == (0, "Added yunet; it is now the default detector.\n")
    assert mien("weights", "list")[1].splitlines()[0].endswith(", at hand")
    code, out, _ = mien("read", shared / "media" / "multi_face.jpg", "--json")
    rows = json.loads(out)
    assert len(rows) == 5
    assert sum(row["dominant_emotion"] == "happy" for row in rows) >= 4


def test_the_whole_way(mien: Mien, write_fer2013: Callable[..., Path], astronaut: Path, tmp_path: Path) -> None:
    """fer2013.csv in, a face read by one's own model out; every command as the README has it."""
    faces, runs = tmp_path / "fer2013.faceset", tmp_path / "runs"
    code, out, _ = mien("data", "prepare", write_fer2013(), "--out", faces)
    assert (code, "70 faces (42 Training, 14 PublicTest, 14 PrivateTest)" in out) == (0, True)
    code, out, _ = mien("data", "describe", faces)
    assert (code, " 0 of PublicTest with a twin in Training" in out) == (0, True)
    assert (faces / "contact-sheet.png").is_file()

    settings = [word for setting in (*TINY, "epochs=1") for word in ("--set", setting)]
    code, out, err = mien("train", "mien-s", "--data", faces, "--out", runs, *settings)
    assert code == 0
    assert "on 14 faces of PublicTest" in out
    assert [line.split()[1] for line in err.splitlines() if line.startswith("epoch")] == ["1"]
    assert " 1 epoch, " in err
    code, out, _ = mien("evaluate", runs / "tiny-001", "--data", faces)
    assert (code, "n = 14, 1 view: accuracy" in out, "macro F1" in out) == (0, True, True)
    assert "is ╲ called" in out
    assert "were fitted on these very faces" in out
    code, out, _ = mien("export", runs / "tiny-001", "--out", tmp_path / "own.onnx")
    assert (code, "own.onnx" in out) == (0, True)
    code, out, _ = mien("read", astronaut, "--model", tmp_path / "own.onnx", "--json")
    assert (code, len(json.loads(out))) == (0, 1)


def test_evaluate_json_is_the_evaluation(mien: Mien, tiny_run: RunFolder, faceset_folder: Path) -> None:
    code, out, _ = mien("evaluate", tiny_run.path, "--data", faceset_folder, "--no-timing", "--json")
    expected = evaluate([str(tiny_run.path)], data=faceset_folder, split="PublicTest")
    assert code == 0
    said, wanted = json.loads(out), json.loads(expected.results.to_json())
    assert said["setting"].pop("date") <= wanted["setting"].pop("date")
    assert said == wanted


def test_evaluate_puts_models_side_by_side(
    mien: Mien, tiny_run: RunFolder, faceset_folder: Path, tmp_path: Path
) -> None:
    code, out, err = mien(
        "evaluate", tiny_run.path, "mien-s", "--data", faceset_folder, "--report", tmp_path / "report", "--no-timing"
    )
    text = " ".join(out.split())
    assert code == 0
    assert "2 models on drawn PublicTest, n = 35, 1 view; ± is one standard error" in text
    assert "mien-s against tiny-001" in text
    cost = next(row for row in out.splitlines() if "1,046,464" in row)
    assert re.search(r"mien-s .* \d+\.\d % ± \d+\.\d .* 84\.0 M .* MB", cost), "accuracy and cost in one row"
    assert re.search("tiny-001 .* not exported", out)
    assert "<td>not exported</td>" in (tmp_path / "report" / "report.html").read_text()
    assert f"The report is {tmp_path / 'report' / 'report.html'}." in err
    names = sorted(path.name for path in (tmp_path / "report").iterdir())
    assert names == ["evaluation.json", "predictions.parquet", "report.html"]


def test_choosing_by_privatetest_is_said_and_logged(
    mien: Mien, tiny_run: RunFolder, faceset_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    look = ("evaluate", tiny_run.path, "mien-s", "--data", faceset_folder, "--split", "PrivateTest", "--no-timing")
    code, _, err = mien(*look, "--i-know")
    assert (code, "report it, never choose by it" in err) == (0, True)
    assert len(Path("results/private_test_log.csv").read_text().splitlines()) == 3


def test_evaluate_shows_what_stress_costs(mien: Mien, tiny_run: RunFolder, faceset_folder: Path) -> None:
    code, out, _ = mien("evaluate", tiny_run.path, "--data", faceset_folder, "--no-timing", "--stress", "--json")
    assert code == 0
    stress = json.loads(out)["models"][0]["stress"]
    code, out, _ = mien("evaluate", tiny_run.path, "--data", faceset_folder, "--no-timing", "--stress")
    assert (code, "The same 35 faces under each condition" in out) == (0, True)
    for under in stress:
        (line,) = [line for line in out.splitlines() if under["score"]["name"] in line]
        assert f"{100 * under['score']['accuracy']:.1f} % ±" in line
        assert f" {100 * under['gain']['value']:+.1f} " in line
        assert f"{100 * under['gain']['low']:+.1f} to {100 * under['gain']['high']:+.1f}" in line


def test_an_ensemble_of_several_views_without_faces_in_its_report(
    mien: Mien, faceset_folder: Path, tmp_path: Path
) -> None:
    asked = ("--data", faceset_folder, "--ensemble", "--views", 2, "--no-timing", "--json")
    code, out, _ = mien("evaluate", "mien-s", "mien-xs", *asked, "--report", tmp_path / "r", "--no-gallery")
    assert code == 0
    found = [one["evaluation"] for one in json.loads(out)["models"]]
    assert [(one["model"], one["views"]) for one in found][-1] == ("ensemble of 2", 2)
    assert 'alt="Face' not in (tmp_path / "r" / "report.html").read_text()


def test_export_says_what_it_is_told_of_the_licence_and_the_votes(
    mien: Mien, tiny_run: RunFolder, tmp_path: Path
) -> None:
    assert mien("export", tiny_run.path, "--out", tmp_path / "x.onnx", "--licence", "MIT")[0] == 0
    assert Classifier(tmp_path / "x.onnx").card.licence == "MIT"
    code, _, err = mien("export", tiny_run.path, "--out", tmp_path / "y.onnx", "--by-votes")
    assert code == 2
    assert "no second head" in err


def test_evaluate_times_unless_told_not_to(
    mien: Mien, tiny_run: RunFolder, faceset_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.evaluation.cost.ROUNDS", 1)
    _, out, _ = mien("evaluate", tiny_run.path, "--data", faceset_folder)
    assert "median ms" in out
    _, out, _ = mien("evaluate", tiny_run.path, "--data", faceset_folder, "--no-timing")
    assert "median ms" not in out


def test_a_collapsed_model_is_called_so_in_red(
    mien: Mien, tiny_run: RunFolder, faceset_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every face gets the same probabilities; a terminal that knows colours."""
    from mien.apps.cli import scores

    always = np.full(7, 0.1, np.float32) + 0.3 * np.eye(7, dtype=np.float32)[3]
    monkeypatch.setattr(TorchClassifier, "probabilities", lambda self, faces_u8: np.tile(always, (len(faces_u8), 1)))
    monkeypatch.setattr(scores.out, "_color_system", ColorSystem.STANDARD)
    code, out, _ = mien("evaluate", tiny_run.path, "--data", faceset_folder, "--no-timing")
    assert code == 0
    assert "\x1b[1;31mtiny-001 has collapsed: it calls 35 of 35 faces happy.\x1b[0m" in out


def test_weights_are_listed_with_their_whole_names(mien: Mien) -> None:
    code, out, _ = mien("weights", "list")
    assert code == 0
    for (name, pinned), line in zip(PINNED.items(), out.splitlines(), strict=True):
        assert line.startswith(f"{name}: {pinned.filename}, ")
        assert line.endswith(f"MB, {pinned.licence}, not at hand")


def test_a_finished_run_can_be_resumed_and_stays_as_it_is(mien: Mien, tiny_run: RunFolder) -> None:
    before = tiny_run.predictions_path.read_bytes()
    assert mien("train", "--resume", tiny_run.path)[0] == 0
    assert tiny_run.predictions_path.read_bytes() == before


def test_a_finished_run_without_its_checkpoint_says_what_to_do_everywhere(
    mien: Mien, tiny_run: RunFolder, faceset_folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_run.path, run, ignore=shutil.ignore_patterns("*.ckpt"))
    sentence = f"last.ckpt is gone, and with it the trained network; copy it back, or train it again: mien train {run}"
    for command in (("train", "--resume", run), ("evaluate", run, "--data", faceset_folder)):
        code, out, err = mien(*command)
        assert (code, out) == (2, "")
        assert sentence in err


@pytest.mark.parametrize(("option", "package"), [("--tensorboard", "tensorboard"), ("--mlflow", "sqlalchemy")])
def test_a_tracker_that_is_not_installed_is_told_before_a_run_folder_is_made(
    faceset_folder: Path, tmp_path: Path, option: str, package: str
) -> None:
    code = f"import sys; sys.modules[{package!r}] = None; from mien.apps.cli.main import main; main()"
    command = [sys.executable, "-c", code, "train", "mien-s", "--data", faceset_folder, "--out", tmp_path, option]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.endswith("install it, in mien's folder, with: pip install -c constraints.txt '.[track]'\n")
    assert list(tmp_path.iterdir()) == []


def test_a_stopped_table_goes_on_and_a_whole_one_is_left_alone(mien: Mien, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.parquet"
    assert mien("read", clip, "--out", out, "--resume", "--every", "50ms")[0] == 0
    assert pq.read_metadata(out).num_rows == 3
    before = out.stat().st_mtime_ns
    code, said, err = mien("read", clip, "--out", out, "--resume", "--every", "50ms", "--json")
    assert (code, "is whole; nothing is left to read" in err) == (0, True)
    assert json.loads(said) == []
    assert out.stat().st_mtime_ns == before


def test_a_whole_table_still_says_which_files_failed(mien: Mien, astronaut: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_text("no picture")
    command = ("read", astronaut, tmp_path / "broken.jpg", "--out", tmp_path / "r.parquet", "--resume")
    for whole in (False, True):
        code, _, err = mien(*command)
        assert code == 1
        assert ("is whole; nothing is left to read" in err) == whole
        assert "broken.jpg is not a picture" in err
        assert "1 of 2 files could not be read" in err


def _ctrl_c(monkeypatch: pytest.MonkeyPatch, *, after: int) -> None:
    """Have Ctrl-C come after so many frames have been taken by the table."""
    write, left = ParquetSink.write, [after]

    def taken(sink: ParquetSink, *frame: Any) -> None:
        if not left[0]:
            signal.raise_signal(signal.SIGINT)
        left[0] -= 1
        write(sink, *frame)

    monkeypatch.setattr(ParquetSink, "write", taken)


def test_after_ctrl_c_it_is_said_what_is_kept_and_that_goes_on(
    mien: Mien, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, crops = tmp_path / "r.parquet", tmp_path / "faces"
    with monkeypatch.context() as stopped:
        _ctrl_c(stopped, after=2)
        code, said, err = mien("read", clip, "--out", out, "--crops", crops)
    assert (code, said) == (130, "")
    assert err == (
        f"mien: Stopped: the rows so far are kept; go on to {out} with the same command and --resume, without --crops. "
        f"Pictures so far are in {crops}.\n"
    )
    code, said, err = mien("read", clip, "--out", out, "--resume")
    assert (code, "going on after 2 rows" in err) == (0, True)
    assert "3 frames to 0.40 s" in said
    assert "That is what was read now, after 2 rows that were there." in said
    assert pq.read_metadata(out).num_rows == 5


def test_after_ctrl_c_before_the_first_row_a_reading_begins_anew(
    mien: Mien, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "r.parquet"
    with monkeypatch.context() as stopped:
        _ctrl_c(stopped, after=0)
        assert mien("read", clip, "--out", out)[0] == 130
    assert mien("read", clip, "--out", out, "--resume")[0] == 0
    assert pq.read_metadata(out).num_rows == 5


def test_a_reading_that_hid_faces_goes_on_as_told(
    mien: Mien, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "r.parquet"
    with monkeypatch.context() as stopped:
        _ctrl_c(stopped, after=2)
        _, _, err = mien("read", clip, "--out", out, "--annotate", tmp_path / "r.mp4", "--blur")
    assert "and --resume, without --annotate and --blur, with --thorough." in err
    assert mien("read", clip, "--out", out, "--resume", "--thorough")[0] == 0


def test_ctrl_c_without_a_table_says_how_one_could_go_on(
    mien: Mien, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*arguments: Any, **options: Any) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Reader, "read_into", stop)
    code, out, err = mien("read", clip, "--out", tmp_path / "r.csv", "--json")
    assert (code, json.loads(out)) == (130, [])
    assert "r.csv is not written; with --out NAME.parquet a stopped reading can go on, by --resume." in err


def test_models_lists_and_shows(mien: Mien, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = mien("models")
    assert code == 0
    assert f"`mien read` uses {DEFAULT_MODEL}" in out
    listed = json.loads(mien("models", "--json")[1])
    assert listed["bundled"]["mien-s"]["labels"][3] == "happy"
    assert listed["networks"]["mien-s"]["parameters"] == 1_046_464
    code, out, _ = mien("models", "mien-s")
    assert (code, "1,046,464" in out, "Art. 5(1)(f)" in " ".join(out.split())) == (0, True, True)
    own = json.loads(mien("models", bundled_models()["mien-s"], "--json")[1])
    assert own["card"]["labels"] == listed["bundled"]["mien-s"]["labels"]
    Path("mien-tiny").mkdir()  # is no reason to take it for a run
    assert json.loads(mien("models", "mien-tiny", "--json")[1])["network"]["layers"][0]["kind"] == "WhitenedStem"


def test_recipes_are_listed(mien: Mien) -> None:
    code, out, _ = mien("train", "--list")
    assert code == 0
    assert [name for name in recipe_files() if f"│ {name} " not in out] == []


@pytest.mark.parametrize(
    ("text", "wanted_s"), [("2h", 7200), ("90m", 5400), ("1.5min", 90), ("200ms", 0.2), (".5", 0.5)]
)
def test_a_duration_in_seconds(text: str, wanted_s: float) -> None:
    assert seconds("--every", text) == pytest.approx(wanted_s)


def test_a_duration_in_words() -> None:
    assert [in_words(time_s) for time_s in (40, 720, 12_240)] == ["40 s", "12 min", "3.4 h"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["read", "missing.jpg"], "There is no file missing.jpg"),
        (["read", ""], "A path is empty"),
        (["read", "https://a.org/face.jpg"], "https://a.org/face.jpg is an address, and mien reads files"),
        (["read", "empty.jpg"], "empty.jpg is empty"),
        (["read", "text.jpg"], "text.jpg is not a picture"),
        (["read", "short.jpg"], "short.jpg cannot be read to its end"),
        (["read", "face.jpg", "--out", "no/folder/x.csv"], "the folder no/folder does not exist"),
        (["read", "face.jpg", "--out", "/proc/x.csv"], "Cannot write /proc/x.csv"),
        (["read", "face.jpg", "--out", "/proc/x.parquet"], "Cannot write /proc/x.parquet"),
        (["read", "face.jpg", "--annotate", "/proc/x.jpg"], "Cannot write /proc/x.jpg"),
        (["read", "face.jpg", "--out", "x.xlsx"], "must end in one of .csv"),
        (["read", "face.jpg", "--annotate", "no/folder/x.jpg"], "the folder no/folder does not exist"),
        (["read", "face.jpg", "text.jpg", "--annotate", "x.jpg"], "give the name of a folder"),
        (["read", "face.jpg", "--annotate", "face.jpg"], "the very file that is read"),
        (["read", "face.jpg", "--crops", "."], "face.jpg, which is read, lies in it; give another folder"),
        (["read", "face.jpg", "--model", "mien-z"], "There is no model 'mien-z'; did you mean mien-s"),
        (["read", "face.jpg", "--model", "text.jpg"], "not an ONNX model"),
        (["read", "face.jpg", "--detector", "yunet", "--offline"], "--offline forbids to download it"),
        (["read", "face.jpg", "--blur"], "none is asked for; add --annotate"),
        (["read", "face.jpg", "--blur", "--annotate", "x.jpg", "--crops", "x"], "choose one of the two"),
        (["read", "face.jpg", "--resume", "--out", "x.csv"], "add --out NAME.parquet"),
        (["read", "face.jpg", "--resume", "--out", "x.parquet", "--crops", "x"], "goes on with a table only"),
        (["read", "face.jpg", "--every", "often"], "--every often is no duration; write, for instance, 0.2s"),
        (["read", "face.jpg", "--detector", "hare"], "There is no detector 'hare'; did you mean haar"),
        (["data", "prepare", "row17.csv", "--out", "x"], "row17.csv:17: 2,303 pixels"),
        (["data", "prepare", "label9.csv", "--out", "x"], "label9.csv:4: emotion '9' is not 0-6"),
        (["data", "prepare", "column.csv", "--out", "x"], "has no column pixels"),
        (["data", "prepare", "missing.csv", "--out", "x"], "There is no file missing.csv"),
        (["data", "prepare", "empty.jpg", "--out", "x"], "empty.jpg is empty"),
        (["data", "prepare", "label9.csv", "--out", "no/x"], "the folder no does not exist"),
        (["data", "prepare", "label9.csv", "--out", "."], "exists already"),
        (["data", "describe", "."], "is not a FaceSet"),
        (["train", "mien-z", "--data", "."], "There is no recipe 'mien-z'; did you mean mien-s"),
        (["train", "mien-s", "--data", ".", "--set", "epoch=3"], "no key 'epoch'; did you mean epochs"),
        (["train", "mien-s", "--data", "."], "is not a FaceSet"),
        (["train", "mien-s", "--data", "faces", "--set", "network=mien-x"], "There is no network 'mien-x'"),
        (["train", "mien-s", "--data", "faces", "--set", "data.train=PrivateTest"], "PrivateTest is for reporting"),
        (["train", "mien-s"], "name a recipe and a FaceSet"),
        (["train", "--resume", "."], "is not a run folder"),
        (["evaluate", ".", "--data", "."], "is not a FaceSet"),
        (["evaluate", "mien-z", "--data", "faces"], "There is no model 'mien-z'"),
        (["evaluate", "mien-s", "--data", "faces", "--views", "3"], "There are no 3 views; choose one of 1, 2, 10"),
        (["evaluate", "mien-s", "--data", "faces", "--split", "Test"], "no split 'Test'"),
        (["evaluate", "mien-s", "mien-s", "--data", "faces"], "mien-s is given twice"),
        (["evaluate", "peer.yaml", "--data", "faces"], "There is no file peer.yaml"),
        (["evaluate", "mien-s", BUNDLED, "--data", "faces", "--split", "PrivateTest"], "amounts to choosing by it"),
        (["evaluate", "mien-s", "--data", "faces", "--report", "text.jpg"], "it is a file; give the name of a folder"),
        (["evaluate", "mien-s", "--data", "faces", "--report", "no/report"], "the folder no does not exist"),
        (["export", ".", "--out", "x.onnx"], "is not a run folder"),
        (["export", ".", "--out", "x.onnx", "--int8"], "is not a run folder"),
        (["export", "mien-s", "--out", "x.onnx", "--int8"], "name their FaceSet with --data"),
        (["export", "mien-z", "--out", "x.onnx", "--int8", "--data", "faces"], "There is no model 'mien-z'"),
        (["export", "mien-s", "--out", "x.csv", "--int8", "--data", "faces"], "its name must end in .onnx"),
        (["read", "x" * 300 + ".jpg"], "check the spelling"),
        (["data", "describe", "faces", "--sheet", "sheet.txt"], "must end in .png"),
        (["models", "mien-z"], "There is no model 'mien-z'; did you mean mien-s"),
        (["models", "--nosuch"], "No such option: --nosuch. Try `mien models -h`."),
        (["read"], "Missing argument 'PATH...'. Try `mien read -h`."),
        (["evaluate", "mien-s"], "Missing option '--data'. Try `mien evaluate -h`."),
        (["reed", "face.jpg"], "No such command 'reed'. Did you mean 'read'? Try `mien -h`."),
        (["weights", "add", "text.jpg"], "none of the files mien knows"),
        (["weights", "fetch", "yunnet"], "no weights file 'yunnet'; did you mean yunet"),
    ],
)
def test_bad_input_is_one_sentence_exit_code_2_and_nothing_left_behind(
    mien: Mien,
    arguments: list[str],
    sentence: str,
    astronaut: Path,
    write_fer2013: Callable[..., Path],
    faceset_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.open(astronaut).convert("RGB").save("face.jpg")
    content = Path("face.jpg").read_bytes()
    Path("short.jpg").write_bytes(content[: len(content) // 2])
    Path("empty.jpg").touch()
    Path("text.jpg").write_text("not a picture")
    Path("faces").symlink_to(faceset_folder)
    write_fer2013(
        lambda rows: rows.__setitem__(15, (*rows[15][:1], rows[15][1].rpartition(" ")[0], "Training")), name="row17.csv"
    )
    write_fer2013(lambda rows: rows.__setitem__(2, ("9", *rows[2][1:])), name="label9.csv")
    write_fer2013(header="emotion,pixel,Usage", name="column.csv")
    before = sorted(tmp_path.rglob("*"))
    code, out, err = mien(*arguments)
    assert code == 2, err
    assert sentence in err
    assert err.startswith("mien: ")
    assert err.count("\n") == 1, "one sentence on one line"
    assert "Traceback" not in err
    assert not [line for line in out.splitlines() if line.strip("[] ")], "nothing is printed as if it had worked"
    assert sorted(tmp_path.rglob("*")) == before, "nothing is left behind"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(mien: Mien, astronaut: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    code, _, err = mien("read", astronaut, "--out", locked / "x.csv")
    assert (code, "no permission" in err) == (2, True)


def test_a_kill_tidies_up_as_ctrl_c_does(tmp_path: Path) -> None:
    """As `docker stop` and `timeout` do it."""
    clip = write_long_clip(tmp_path / "long.mp4")
    code = (
        "import os, signal; from mien.reading import reader; from mien.apps.cli.main import main\n"
        "frames = reader.frames\n"
        "def killed(*arguments, **options):\n"
        "    for frame in frames(*arguments, **options):\n"
        "        if frame.index == 30: os.kill(os.getpid(), signal.SIGTERM)\n"
        "        yield frame\n"
        "reader.frames = killed; main()"
    )
    out = tmp_path / "out"
    out.mkdir()
    options = ("--detector", "haar", "--out", out / "t.csv", "--annotate", out / "t.mp4")
    command = [sys.executable, "-c", code, "read", clip, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, list(out.iterdir())) == (130, []), done.stderr
    assert "Stopped: " in done.stderr


def test_watch_says_at_once_that_the_source_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(show, "out", Console(file=terminal, force_terminal=True, width=100))
    with View() as view:
        frame = Frame(np.zeros((48, 64, 3), np.uint8), time_s=0.0)
        view.show(frame, FrameReading("camera 0", 0, 0.0, ()), Newest(lambda: iter(()), reconnects=False))
        assert "no face" in terminal.getvalue()
        terminal.truncate(0)
        view.say("The stream has ended.")
        assert "The stream has ended." in terminal.getvalue()
