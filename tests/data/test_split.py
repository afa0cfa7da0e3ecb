"""Faces divided anew: shares, classes, groups and seeds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.data.description import describe
from mien.data.faceset import FaceSet, identified, open_faceset
from mien.data.split import divide, read_parts
from mien.errors import DataError
from tests.conftest import drawn_faces, drawn_faceset

HALVES = {"train": 0.5, "test": 0.5}


def _videos(frames: int = 20, videos: int = 30) -> FaceSet:
    """Return `videos` videos of `frames` different faces each, one class a video."""
    labels = np.repeat(np.arange(videos) % 7, frames).astype(np.int8)
    names = np.repeat([f"video{number}" for number in range(videos)], frames)
    faces = replace(
        drawn_faceset(len(labels)),
        faces_u8=drawn_faces(labels.tolist(), seed=1),
        labels=labels,
        attributes={"group": names.astype(np.str_)},
    )
    return identified(faces)


def test_each_class_is_divided_by_the_shares() -> None:
    divided = divide(drawn_faceset(210), {"a": 0.6, "b": 0.3, "c": 0.1})
    assert divided.split_names == ("a", "b", "c")
    for name, count in (("a", 18), ("b", 9), ("c", 3)):
        assert np.bincount(divided.split(name).labels).tolist() == [count] * 7


def test_every_face_lands_in_one_part_with_its_own_label() -> None:
    faces = drawn_faceset(210)
    divided = divide(faces, HALVES)
    label_of = {face.tobytes(): label for face, label in zip(faces.faces_u8, faces.labels, strict=True)}
    assert len(divided) == 210
    assert {face.tobytes(): label for face, label in zip(divided.faces_u8, divided.labels, strict=True)} == label_of


def test_a_part_lies_in_one_piece() -> None:
    divided = divide(drawn_faceset(210), HALVES)
    assert np.shares_memory(divided.split("test").faces_u8, divided.faces_u8)


def test_a_seed_decides() -> None:
    faces = drawn_faceset(210)
    assert divide(faces, HALVES, seed=3).sha256 == divide(faces, HALVES, seed=3).sha256
    assert divide(faces, HALVES, seed=3).sha256 != divide(faces, HALVES, seed=4).sha256


def test_by_group_no_video_is_on_both_sides_and_by_face_nearly_all_are() -> None:
    """Jawade's split against an honest one."""
    faces = _videos()
    parts = {"train": 0.5, "validation": 0.25, "test": 0.25}
    clean, leaking = describe(divide(faces, parts)), describe(divide(faces, parts, by="face"))
    assert set(clean.divided.values()) == {0}
    assert leaking.divided["train", "test"] == 150, "every face of test has frames of its video in train"
    sizes = np.sum(clean.counts, axis=0)
    assert np.abs(sizes - [300, 150, 150]).max() <= 20, "as near as whole videos allow"


def test_by_group_twins_stay_together_also_where_they_tie_videos() -> None:
    faces = _videos()
    pixels = np.array(faces.faces_u8)
    pixels[[0, 20, 40]] = pixels[60]  # the first frames of four videos are one picture
    tied = identified(replace(faces, faces_u8=pixels))
    assert len(set(tied.groups[:80].tolist())) == 1
    divided = divide(tied, HALVES)
    found = describe(divided)
    assert (found.twins["train", "test"], found.divided["train", "test"]) == (0, 0)


def test_a_twin_of_a_videos_frame_belongs_to_the_video() -> None:
    faces = drawn_faceset(5)
    pixels = np.array(faces.faces_u8)
    pixels[4] = pixels[2]
    groups = np.array(["", "video", "video", "", ""])
    numbers = identified(replace(faces, faces_u8=pixels, attributes={"group": groups})).groups.tolist()
    assert numbers[1] == numbers[2] == numbers[4]
    assert len(set(numbers)) == 3


def test_taking_some_keeps_the_proportions() -> None:
    labels = np.repeat(np.arange(7), [10, 20, 30, 40, 50, 60, 70]).astype(np.int8)
    faces = replace(drawn_faceset(280), labels=labels)
    divided = divide(faces, HALVES, take=140)
    assert np.bincount(divided.labels).tolist() == [5, 10, 15, 20, 25, 30, 35]


def test_jawades_numbers_of_frames() -> None:
    """26,061 to learn from, 8,704 to choose by and 8,670 to test on, of 43,435."""
    random = np.random.default_rng(0)
    labels = random.choice(6, 43435, p=[0.1, 0.05, 0.1, 0.4, 0.2, 0.15]).astype(np.int8)
    small = drawn_faceset(7)
    faces = replace(
        small,
        faces_u8=random.integers(0, 256, (43435, 4, 4), np.uint8),
        labels=labels,
        splits=np.zeros(43435, np.int8),
        groups=np.arange(43435, dtype=np.int32),
        twins=np.arange(43435, dtype=np.int32),
    )
    divided = divide(faces, {"train": 0.6, "validation": 0.2004, "test": 0.1996}, by="face")
    assert np.bincount(divided.splits).tolist() == [26061, 8704, 8670]


def test_only_one_split_is_divided_if_asked() -> None:
    faces = drawn_faceset(210)
    divided = divide(faces, HALVES, only="PublicTest")
    own = {face.tobytes() for face in faces.split("PublicTest").faces_u8}
    assert {face.tobytes() for face in divided.faces_u8} == own


def test_holmans_protocol_on_the_real_faces(fer2013_folder: Path) -> None:
    """14,018 of Training, 80 to 20: 11,214 to learn from and 2,804 to test on, as his paper has it; no twin leaks."""
    faces = open_faceset(fer2013_folder)
    divided = divide(faces, {"train": 0.8, "test": 0.2}, only="Training", take=14018)
    assert np.bincount(divided.splits).tolist() == [11214, 2804]
    assert describe(divided).twins["train", "test"] == 0
    assert describe(divide(faces, {"train": 0.8, "test": 0.2}, by="face")).twins["train", "test"] > 0
    of_all = np.bincount(faces.split("Training").labels) / 28709
    for name in ("train", "test"):
        part = divided.split(name).labels
        np.testing.assert_allclose(np.bincount(part) / len(part), of_all, atol=0.001)


@pytest.mark.parametrize(
    ("parts", "options", "sentence"),
    [
        ({"a": 0.5, "b": 0.4}, {}, r"sum to 1, as in train=0.8,test=0.2; got a=0.5,b=0.4"),
        ({"a": 1.5, "b": -0.5}, {}, "must be above 0"),
        ({"a": float("nan"), "b": 0.5}, {}, "must be above 0"),
        (HALVES, {"by": "frames"}, "no way to divide 'frames'"),
        (HALVES, {"take": 300}, "Cannot take 300 faces out of 210"),
        (HALVES, {"only": "Test"}, "no split 'Test'"),
    ],
)
def test_what_cannot_be_divided(parts: dict[str, float], options: dict[str, object], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        divide(drawn_faceset(210), parts, **options)  # type: ignore[arg-type]


def test_too_few_groups_for_the_parts_are_named() -> None:
    with pytest.raises(DataError, match="No face is left for c: 40 faces in 2 groups are too few"):
        divide(_videos(videos=2), {"a": 0.4, "b": 0.4, "c": 0.2})


def test_more_parts_than_a_faceset_can_number_are_refused() -> None:
    faces = drawn_faceset(1680)
    with pytest.raises(DataError, match="Wanted at most 127 parts, got 128"):
        divide(faces, {f"p{number}": 1 / 128 for number in range(128)})
    most = divide(faces, {f"p{number}": 1 / 127 for number in range(127)})
    assert np.bincount(most.splits).min() > 0


def test_parts_are_read_from_text() -> None:
    assert read_parts("train=0.8, test=0.2") == {"train": 0.8, "test": 0.2}
    for text in ("train", "train=x", "train=0.5,train=0.5", "=1", "", "a=1=2"):
        with pytest.raises(DataError, match="named once each"):
            read_parts(text)


def test_a_folder_of_the_first_version_still_opens(tmp_path: Path) -> None:
    folder = tmp_path / "old.faceset"
    faces = drawn_faceset(70)
    faces.save(folder)
    (folder / "twins.npy").unlink()
    about = folder / "faceset.json"
    about.write_text(about.read_text().replace('"version": 2', '"version": 1'))
    old = open_faceset(folder)
    np.testing.assert_array_equal(old.twins, faces.twins)
    assert (old.sha256, old.attributes) == (faces.sha256, {})
    about.write_text(about.read_text().replace('"version": 1', '"version": 3'))
    with pytest.raises(DataError, match="version 3, and this mien reads versions up to 2"):
        open_faceset(folder)
