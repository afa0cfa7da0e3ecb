"""`mien data` as a user meets it."""

from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

from mien.data.contact_sheet import GAP_PX, NAME_PX, TILE_PX
from mien.data.faceset import FaceSet, open_faceset
from mien.data.formats import FORMATS
from mien.data.split import divide
from mien.labels import EXPRESSIONS
from mien.training.recipe_sheet import HEADER_PX, LOOKS
from tests.conftest import drawn_faces, drawn_faceset, fer2013_rows, write_votes

Mien = Callable[..., tuple[int, str, str]]


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """A table of 8 videos with 10 frames each, a video a class and a half of each video in train."""
    labels = np.repeat(np.arange(8) % 4, 10)
    lines = ["path,label,split,group,light"]
    for number, (face, label) in enumerate(zip(drawn_faces(labels.tolist()), labels, strict=True)):
        Image.fromarray(face).save(tmp_path / f"{number}.png")
        lines.append(f"{number}.png,{EXPRESSIONS[label]},{('train', 'test')[number % 2]},video{number // 10},dim")
    (tmp_path / "own.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "own.csv"


def test_frames_of_one_video_on_both_sides_are_warned_of_and_divided_anew(
    mien: Mien, videos: Path, tmp_path: Path
) -> None:
    before, after = tmp_path / "a.faceset", tmp_path / "b.faceset"
    code, out, err = mien("data", "prepare", videos, "--out", before)
    assert (code, err) == (0, "")
    assert "80 faces (40 train, 40 test)" in out
    code, out, _ = mien("data", "describe", before)
    assert "40 of test with others of their group (video, person) in train" in out
    assert "divide them anew with `mien data split`" in out
    assert "group: 8 values" in out
    code, out, _ = mien("data", "split", before, "--parts", "train=0.5,test=0.5", "--out", after)
    assert (code, "80 faces (40 train, 40 test)" in out) == (0, True)
    code, out, _ = mien("data", "describe", after)
    assert " 0 of test with others of their group" in out
    assert "too good" not in out


def test_a_split_by_face_of_a_draw_is_what_was_asked(mien: Mien, videos: Path, tmp_path: Path) -> None:
    mien("data", "prepare", videos, "--out", tmp_path / "a.faceset")
    options = ["--by", "face", "--take", 20, "--from", "train", "--seed", 3, "--parts", "x=0.6,y=0.4"]
    code, out, _ = mien("data", "split", tmp_path / "a.faceset", *options, "--out", tmp_path / "b.faceset")
    assert (code, "20 faces (12 x, 8 y)" in out) == (0, True)
    made = open_faceset(tmp_path / "b.faceset")
    assert made.attributes["light"].tolist() == ["dim"] * 20
    wanted = divide(
        open_faceset(tmp_path / "a.faceset"), {"x": 0.6, "y": 0.4}, by="face", only="train", take=20, seed=3
    )
    np.testing.assert_array_equal(made.faces_u8, wanted.faces_u8)


def test_too_many_faces_for_the_memory_are_one_sentence(
    mien: Mien, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.data.pictures._read", Mock(side_effect=MemoryError("Unable to allocate 43 GiB")))
    code, _, err = mien("data", "prepare", videos, "--out", tmp_path / "a.faceset")
    assert code == 2
    assert "There is not enough memory (Unable to allocate 43 GiB); give less at once" in err


def test_every_option_of_prepare_reaches_the_faces(mien: Mien, videos: Path, tmp_path: Path) -> None:
    options = ["--labels", "angry,fear", "--size", 24, "--colour", "rgb", "--take", 10, "--format", "manifest"]
    code, out, _ = mien("data", "prepare", videos, *options, "--out", tmp_path / "a.faceset")
    faces = open_faceset(tmp_path / "a.faceset")
    assert code == 0
    assert (faces.faces_u8.shape, faces.label_names) == ((10, 24, 24, 3), ("angry", "fear"))
    assert "left out: 20 disgust" in out
    assert "left out: 20 happy" in out


def test_what_is_missing_is_listed_and_too_much_of_it_leaves_nothing_behind(
    mien: Mien, videos: Path, tmp_path: Path
) -> None:
    (tmp_path / "7.png").unlink()
    code, _, err = mien("data", "prepare", videos, "--out", tmp_path / "a.faceset")
    assert (code, "Missing or broken: 1 of 80 pictures of own (1.2 %)" in err) == (2, True)
    assert not [path for path in tmp_path.iterdir() if "faceset" in path.name]
    code, _, err = mien("data", "prepare", videos, "--out", tmp_path / "a.faceset", "--allow-missing")
    assert code == 0
    assert f"There is no file {tmp_path / '7.png'}" in err
    assert "Skipped: 1 picture, missing or broken" in err
    assert len((tmp_path / "a.faceset" / "missing.txt").read_text().splitlines()) == 1


def test_ferplus_from_the_command_line(mien: Mien, write_fer2013: Callable[..., Path], tmp_path: Path) -> None:
    votes = write_votes(tmp_path / "fer2013new.csv", [usage for _, _, usage in fer2013_rows()])
    options = ["--votes", votes, "--format", "ferplus", "--out", tmp_path / "a.faceset"]
    assert mien("data", "prepare", write_fer2013(), *options)[0] == 0
    faces = open_faceset(tmp_path / "a.faceset")
    assert (faces.name, len(faces.label_names), set(faces.labels.tolist())) == ("FER+", 8, {3})


def test_formats_explains_each_with_its_example(mien: Mien) -> None:
    code, out, _ = mien("data", "formats")
    assert code == 0
    for known in FORMATS.values():
        assert f"\n{known.name}\n" in out
        assert all(line in out for line in known.example.splitlines())


def test_the_sheet_of_a_recipe_shows_each_class_before_and_after(
    mien: Mien, faceset_folder: Path, faceset: FaceSet, tmp_path: Path
) -> None:
    code, out, _ = mien("data", "describe", faceset_folder, "--sheet", tmp_path / "sheet.png", "--recipe", "mien-s")
    assert (code, f"what the recipe does: {tmp_path / 'sheet-mien-s.png'}" in out) == (0, True)
    with Image.open(tmp_path / "sheet-mien-s.png") as opened:
        sheet = np.asarray(opened.convert("L"))
    step = TILE_PX + GAP_PX
    for row in range(7):
        top = HEADER_PX + row * step
        tiles = [sheet[top : top + TILE_PX, left : left + TILE_PX] for left in _lefts(sheet)]
        stored = np.asarray(Image.fromarray(tiles[0]).resize((48, 48)), int)
        distance = np.abs(faceset.faces_u8.astype(int) - stored).mean((1, 2))
        assert faceset.labels[distance.argmin()] == row, "the face as stored, in its own row"
        assert len({tile.tobytes() for tile in tiles}) == LOOKS + 1, "each look is another"


def test_a_faceset_that_cannot_be_written_to_is_counted_all_the_same(mien: Mien, tmp_path: Path) -> None:
    folder = tmp_path / "a.faceset"
    drawn_faceset().save(folder)
    (folder / "contact-sheet.png").mkdir()  # nobody can write a file there, not even root
    code, out, err = mien("data", "describe", folder)
    assert (code, "drawn: 210 faces" in out, "contact sheet:" in out) == (0, True, False)
    assert f"Cannot write {folder / 'contact-sheet.png'}" in err
    assert "There is no contact sheet; --sheet puts it elsewhere." in err
    code, out, err = mien("data", "describe", folder, "--sheet", tmp_path / "nowhere" / "sheet.png")
    assert (code, out, "Cannot write" in err) == (2, "", True)


@pytest.mark.parametrize(
    ("options", "warned"), [([], True), (["--from", "PrivateTest"], True), (["--from", "Training"], False)]
)
def test_dividing_private_test_is_warned_of(
    mien: Mien, faceset_folder: Path, tmp_path: Path, options: list[str], warned: bool
) -> None:
    code, _, err = mien(
        "data", "split", faceset_folder, *options, "--parts", "a=0.5,b=0.5", "--out", tmp_path / "b.faceset"
    )
    assert (code, "PrivateTest can no longer judge what learns from these" in err) == (0, warned)


def test_a_dataset_without_a_wanted_face_is_one_sentence_and_writes_nothing(
    mien: Mien, write_fer2013: Callable[..., Path], tmp_path: Path
) -> None:
    source = write_fer2013(lambda rows: rows.__setitem__(slice(None), [row for row in rows if row[0] == "3"]))
    code, _, err = mien("data", "prepare", source, "--labels", "sad", "--out", tmp_path / "a.faceset")
    assert (code, "no picture with one of the labels sad" in err, err.count("\n")) == (2, True, 1)
    assert not (tmp_path / "a.faceset").exists()


def _lefts(sheet: np.ndarray) -> list[int]:
    step = TILE_PX + GAP_PX
    return [NAME_PX, *range(sheet.shape[1] - LOOKS * step, sheet.shape[1], step)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["prepare", ".", "--format", "rafbd", "--out", "x"], "There is no format 'rafbd'; did you mean rafdb"),
        (["prepare", ".", "--format", "folder", "--out", "x"], "has no class folders"),
        (["prepare", ".", "--out", "x"], "in no layout that mien knows"),
        (["split", "faces", "--parts", "a=0.5", "--out", "x"], "sum to 1"),
        (["split", "faces", "--parts", "half", "--out", "x"], "named once each"),
        (["split", "faces", "--parts", "a=0.5,b=0.5", "--out", "faces"], "exists already"),
        (["describe", "faces", "--recipe", "mien-z"], "There is no recipe 'mien-z'; did you mean mien-s"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_code_2(
    mien: Mien,
    faceset_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "faces").symlink_to(faceset_folder)
    code, _, err = mien("data", *arguments)
    assert (code, sentence in err, err.count("\n")) == (2, True, 1), err
    assert not (tmp_path / "x").exists()
