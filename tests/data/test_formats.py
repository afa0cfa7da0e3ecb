"""Each layout is written to disk as its own documentation shows it, and read."""

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mien.data.description import describe
from mien.data.faceset import FaceSet, open_faceset
from mien.data.ferplus import by_majority
from mien.data.formats import FORMATS, prepare
from mien.data.preparation import Prepared, Wanted
from mien.errors import DataError, LabelError
from mien.labels import EIGHT_EXPRESSIONS, EXPRESSIONS
from tests.conftest import fer2013_rows, write_votes


def picture(path: Path, seed: int | None = None, size: tuple[int, int] = (100, 100)) -> Path:
    """Write a picture of blocks, its own for each path; rough enough to survive JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed if seed is not None else list(path.name.encode()))
    blocks = random.integers(0, 256, (5, 5, 3)).astype(np.uint8)
    Image.fromarray(blocks).resize(size, Image.Resampling.NEAREST).save(path, quality=95)
    return path


def tree(root: Path, example: str) -> Path:
    """Write the files of a format's example below `root`."""
    text: Path | None = None
    for line in example.splitlines():
        if line.startswith("    | "):
            assert text is not None
            with text.open("a") as file:
                file.write(line.removeprefix("    | ") + "\n")
        elif line.endswith(".jpg"):
            picture(root / line)
        else:
            text = root / line
            text.parent.mkdir(parents=True, exist_ok=True)
            text.touch()
    return root


def rows(faces: FaceSet) -> list[tuple[str, str]]:
    """Return (split, label) of each face."""
    return [
        (faces.split_names[split], faces.label_names[label])
        for split, label in zip(faces.splits, faces.labels, strict=True)
    ]


def read(source: Path, **wanted: object) -> Prepared:
    return prepare(source, Wanted(**wanted))  # type: ignore[arg-type]


def expected_face(path: Path, size: int) -> np.ndarray:
    """Read with OpenCV and average down by areas: another decoder than mien's own."""
    return cv2.resize(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), (size, size), interpolation=cv2.INTER_AREA)


# What each example holds, read off by eye: its splits, its classes, and what is left out.
EXAMPLES = {
    "folder": ([("train", "angry"), ("train", "happy"), ("validation", "angry"), ("validation", "happy")], {}),
    "rafdb": ([("train", "sad"), ("test", "neutral")], {}),
    "affectnet": ([("train", "happy"), ("validation", "contempt")], {"uncertain": 1}),
    "affwild2": (
        [("train", "happy"), ("train", "surprise"), ("validation", "neutral")],
        {"no label (-1)": 1, "other": 1},
    ),
    "manifest": ([("train", "happy"), ("train", "sad"), ("test", "neutral")], {}),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_documented_example_is_recognised_and_read(tmp_path: Path, name: str) -> None:
    root = tree(tmp_path / "set", FORMATS[name].example)
    source = root / "faces.csv" if name == "manifest" else root
    prepared = read(source)
    assert (rows(prepared.faces), dict(prepared.left_out)) == EXAMPLES[name]
    assert (prepared.faces.faces_u8.shape[1:], prepared.missing) == ((48, 48), ())


def test_every_format_has_an_example_that_a_test_reads() -> None:
    assert set(FORMATS) == {*EXAMPLES, "fer2013", "ferplus"}


def test_faces_are_those_of_the_files_and_stay_so_on_disk(tmp_path: Path) -> None:
    root = tree(tmp_path / "set", FORMATS["folder"].example)
    read(root, size_px=20).save(tmp_path / "a.faceset")
    faces = open_faceset(tmp_path / "a.faceset")
    paths = ("train/angry/one", "train/happy/two", "validation/angry/three", "validation/happy/four")
    for face, path in zip(faces.faces_u8, paths, strict=True):
        assert np.abs(face.astype(int) - expected_face(root / f"{path}.jpg", 20)).max() <= 2


def test_colour_is_rgb_in_that_order(tmp_path: Path) -> None:
    path = tmp_path / "set" / "happy" / "red.png"
    path.parent.mkdir(parents=True)
    Image.new("RGB", (60, 60), (200, 30, 10)).save(path)
    faces = read(tmp_path / "set", colour="rgb", size_px=16).faces
    assert faces.faces_u8.shape == (1, 16, 16, 3)
    assert faces.faces_u8[0, 8, 8].tolist() == [200, 30, 10]


def test_a_picture_turned_by_its_exif_flag_is_read_upright(tmp_path: Path) -> None:
    path = tmp_path / "set" / "happy" / "turned.png"
    path.parent.mkdir(parents=True)
    blocks = np.kron(np.array([[0, 80], [160, 240]], np.uint8), np.ones((32, 32), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    Image.fromarray(blocks).save(path, exif=exif)
    assert read(tmp_path / "set", size_px=16).faces.faces_u8[0, [0, 0, -1, -1], [0, -1, 0, -1]].tolist() == [
        160,
        0,
        240,
        80,
    ]


def test_a_picture_that_is_not_square_keeps_its_shape(tmp_path: Path) -> None:
    path = tmp_path / "set" / "sad" / "wide.png"
    path.parent.mkdir(parents=True)
    wide = np.zeros((32, 64), np.uint8)
    wide[8:24, 24:40] = 255  # a white square in the middle stays a square
    Image.fromarray(wide).save(path)
    white = read(tmp_path / "set", size_px=32).faces.faces_u8[0] > 128
    assert (white.any(0).sum(), white.any(1).sum()) == (8, 8)


# ---- class folders -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["angry/a.png", "Happy/b.PNG"], [("all", "angry"), ("all", "happy")]),
        (
            ["images/validation/anger/a.jpg", "images/train/HAPPINESS/b.jpg"],
            [("train", "happy"), ("validation", "angry")],
        ),
        (["test/sad/a.jpg", "train/sad/b.jpg", "val/fear/c.jpg"], [("train", "sad"), ("val", "fear"), ("test", "sad")]),
        (["train/sad/a.jpg", "images/train/sad/a.jpg"], [("train", "sad")]),  # as Kaggle packs it: once more, inside
        (["sad/anna/a.jpg", "sad/._a.jpg", "other/b.jpg"], [("all", "sad")]),
    ],
)
def test_class_folders_in_their_several_ways(tmp_path: Path, paths: list[str], expected: list[tuple[str, str]]) -> None:
    for path in paths:
        picture(tmp_path / "set" / path)
    assert rows(read(tmp_path / "set").faces) == expected


def test_a_class_folder_with_a_slip_in_its_name_is_not_passed_over(tmp_path: Path) -> None:
    for path in ("train/happy/a.jpg", "train/angyr/b.jpg"):
        picture(tmp_path / "set" / path)
    with pytest.raises(LabelError, match="angyr is no expression; wanted folders named angry, disgust"):
        read(tmp_path / "set")


@pytest.mark.parametrize(
    ("unread", "sentence"),
    [
        (
            "val/Angry_faces/b.jpg",
            r"val has 1 picture and no class folder \(it has Angry_faces\); wanted folders named",
        ),
        ("val/b.jpg", r"val has 1 picture and no class folder \(it has no folder\)"),
        ("more/train/angry/b.jpg", r"more has 1 picture in class folders of its own, beside those of .*set/train"),
        ("images/train/angry/b.jpg", r"images has 1 picture in class folders of its own"),  # not Kaggle's: another name
    ],
)
def test_a_split_that_would_not_be_read_is_an_error(tmp_path: Path, unread: str, sentence: str) -> None:
    for path in ("train/angry/a.jpg", unread):
        picture(tmp_path / "set" / path)
    with pytest.raises(DataError, match=sentence):
        read(tmp_path / "set")


def test_a_split_beside_the_class_folders_is_an_error(tmp_path: Path) -> None:
    for path in ("angry/a.jpg", "happy/b.jpg", "train/angry/c.jpg"):
        picture(tmp_path / "set" / path)
    with pytest.raises(
        DataError, match=r"set/train has 1 picture in class folders of its own, beside those of .*/set;"
    ):
        read(tmp_path / "set")


def test_a_folder_nested_once_more_must_hold_the_same_pictures(tmp_path: Path) -> None:
    for seed, path in enumerate(("train/sad/a.png", "test/sad/b.png", "images/train/sad/a.png")):
        picture(tmp_path / "set" / path, seed=seed)
    with pytest.raises(DataError, match="images has 1 picture in class folders of its own"):
        read(tmp_path / "set")
    picture(tmp_path / "set/images/train/sad/a.png", seed=0)
    assert rows(read(tmp_path / "set").faces) == [("train", "sad"), ("test", "sad")]


def test_a_faceset_written_among_the_pictures_is_not_taken_for_a_split(tmp_path: Path) -> None:
    picture(tmp_path / "set" / "train/angry/a.jpg")
    read(tmp_path / "set").save(tmp_path / "set" / "own.faceset")
    picture(tmp_path / "set" / "own.faceset" / "contact-sheet.png")
    assert rows(read(tmp_path / "set").faces) == [("train", "angry")]


def test_what_is_no_picture_in_a_class_folder_or_lies_outside_of_all_is_counted(tmp_path: Path) -> None:
    for path in ("train/angry/a.png", "train/overview.png", "notes/.hidden.png"):
        picture(tmp_path / "set" / path)
    for path in ("angry/1.avif", "angry/2.AVIF", "angry/deeper/x.xyz", "angry/readme", "angry/.DS_Store", "readme.txt"):
        (tmp_path / "set" / "train" / path).parent.mkdir(exist_ok=True)
        (tmp_path / "set" / "train" / path).touch()
    prepared = read(tmp_path / "set")
    assert (rows(prepared.faces), dict(prepared.left_out)) == (
        [("train", "angry")],
        {
            "with the suffix .avif, not read as a picture": 2,
            "with the suffix .xyz, not read as a picture": 1,
            "without a suffix, not read as a picture": 1,
            "in no class folder": 1,
        },
    )


@pytest.mark.parametrize("inside", ["sad", "train", "by/Validation", "other"])
def test_a_class_folder_holds_no_other_class_and_no_split(tmp_path: Path, inside: str) -> None:
    for path in ("happy/a.png", "happy/valerie/b.png", "happy/happy/c.png"):
        picture(tmp_path / "set" / path)
    assert len(read(tmp_path / "set").faces) == 3
    picture(tmp_path / "set" / "happy" / inside / "d.png")
    with pytest.raises(LabelError, match="lies in a folder of happy faces; wanted train/angry/ and not angry/train/"):
        read(tmp_path / "set")


def test_what_lies_in_hidden_folders_is_the_systems(tmp_path: Path) -> None:
    for path in ("sad/a.png", "sad/.thumbnails/a.png", "sad/x/.@__thumb/a.png"):
        picture(tmp_path / "set" / path)
    prepared = read(tmp_path / "set")
    assert (len(prepared.faces), dict(prepared.left_out)) == (1, {})


def test_class_folders_without_a_picture_that_is_read_say_what_they_hold(tmp_path: Path) -> None:
    (tmp_path / "set" / "angry").mkdir(parents=True)
    with pytest.raises(DataError, match=r"set has no picture of an expression \(it has none at all\)"):
        read(tmp_path / "set")
    (tmp_path / "set" / "angry" / "1.avif").touch()
    with pytest.raises(DataError, match=r"set has no picture of an expression \(left out: 1 with the suffix \.avif"):
        read(tmp_path / "set", labels=("angry",))


def test_two_datasets_in_one_folder_are_not_mixed(tmp_path: Path) -> None:
    for path in ("one/train/happy/a.jpg", "two/train/happy/b.jpg"):
        picture(tmp_path / "set" / path)
    with pytest.raises(DataError, match=r"holds several datasets \(one, two\)"):
        read(tmp_path / "set")


def test_real_faces_come_back_from_class_folders(fer2013_folder: Path, tmp_path: Path) -> None:
    real = open_faceset(fer2013_folder).split("PublicTest").take(slice(0, 60))
    for number, (face, label) in enumerate(zip(real.faces_u8, real.labels, strict=True)):
        path = tmp_path / "set" / "test" / EXPRESSIONS[label] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.array(face)).save(path)
    faces = read(tmp_path / "set").faces
    order = np.argsort([EXPRESSIONS[label] for label in real.labels], kind="stable")
    np.testing.assert_array_equal(faces.faces_u8, real.faces_u8[order])
    assert [label for _, label in rows(faces)] == [EXPRESSIONS[label] for label in real.labels[order]]


# ---- FER2013 and FER+ ----------------------------------------------------------------------------


def test_fer2013_may_be_larger_in_colour_and_of_fewer_classes(write_fer2013: Callable[..., Path]) -> None:
    plain, prepared = (
        read(write_fer2013()).faces,
        read(write_fer2013(), size_px=96, colour="rgb", labels=("fear", "happy")),
    )
    assert prepared.faces.label_names == ("fear", "happy")
    assert dict(prepared.left_out) == dict.fromkeys(("angry", "disgust", "sad", "surprise", "neutral"), 10)
    kept = plain.faces_u8[np.isin(plain.labels, [2, 3])]
    expected = [cv2.resize(face, (96, 96), interpolation=cv2.INTER_LINEAR) for face in kept]
    np.testing.assert_array_equal(prepared.faces.faces_u8, np.repeat(np.stack(expected)[..., None], 3, axis=3))
    assert [name for _, name in rows(prepared.faces)] == [EXPRESSIONS[code] for code in plain.labels if code in (2, 3)]


def test_a_draw_from_fer2013_keeps_its_splits_in_proportion(write_fer2013: Callable[..., Path]) -> None:
    faces = read(write_fer2013(), take=35).faces
    assert np.bincount(faces.splits).tolist() == [21, 7, 7], "half of 42, 14 and 14"


def test_ferplus_takes_the_voters_label(write_fer2013: Callable[..., Path], tmp_path: Path) -> None:
    votes = write_votes(tmp_path / "fer2013new.csv", [usage for _, _, usage in fer2013_rows()])
    lines = votes.read_text().splitlines()
    for row, counts in enumerate(("0,0,0,0,0,0,2,7,1,0", "5,5,0,0,0,0,0,0,0,0", "0,0,0,0,0,0,0,0,0,10"), start=1):
        lines[row] = f"Training,fer.png,{counts}"  # contempt, no majority, no face; the others are all happy
    votes.write_text("\n".join(lines) + "\n")
    source = write_fer2013()
    prepared = prepare(source, Wanted(votes=votes), format_name="ferplus")
    assert prepared.faces.label_names == EIGHT_EXPRESSIONS
    assert [name for _, name in rows(prepared.faces)] == ["contempt"] + ["happy"] * 67
    assert dict(prepared.left_out) == {"no majority": 1, "majority for 'NF'": 1}
    assert prepared.faces.votes is not None
    assert prepared.faces.votes[0].tolist() == [0, 0, 0, 0, 0, 0, 2, 7, 1, 0]
    seven = prepare(source, Wanted(votes=votes, labels=EXPRESSIONS), format_name="ferplus")
    assert seven.faces.label_names == EXPRESSIONS
    assert (len(seven.faces), seven.left_out["contempt"]) == (67, 1)
    assert len({prepared.faces.sha256, seven.faces.sha256, read(source).faces.sha256}) == 3


@pytest.mark.parametrize("options", [{}, {"size_px": 64}, {"take": 5}])
def test_fer2013_without_a_face_of_the_wanted_labels_is_an_error(
    write_fer2013: Callable[..., Path], options: dict[str, object]
) -> None:
    source = write_fer2013(lambda rows: rows.__setitem__(slice(None), [row for row in rows if row[0] == "3"]))
    with pytest.raises(DataError, match=r"FER2013 has no picture with one of the labels sad \(left out: 10 happy\)"):
        read(source, labels=("sad",), **options)


def test_ferplus_without_a_majority_is_an_error(write_fer2013: Callable[..., Path], tmp_path: Path) -> None:
    votes = write_votes(tmp_path / "fer2013new.csv", [usage for _, _, usage in fer2013_rows()])
    votes.write_text(votes.read_text().replace("0,10,0,0", "5,5,0,0"))
    with pytest.raises(DataError, match=r"FER\+ has no picture .* \(left out: 70 no majority\)"):
        prepare(write_fer2013(), Wanted(votes=votes), format_name="ferplus")


def test_ferplus_of_the_real_files(fer2013_folder: Path) -> None:
    """Barsoum et al. 2016 and all who compare with them: 3,153 test faces, 25,060 and 3,199 to learn and choose by."""
    faces, left_out = by_majority(open_faceset(fer2013_folder))
    assert np.bincount(faces.splits).tolist() == [25060, 3199, 3153]
    assert len(faces) + sum(left_out.values()) == 35887
    names = ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt")
    found = np.bincount(faces.split("PrivateTest").labels, minlength=8)
    assert [int(found[EIGHT_EXPRESSIONS.index(name)]) for name in names] == [1090, 893, 396, 384, 273, 18, 83, 16]


# ---- RAF-DB, AffectNet, Aff-Wild2 ----------------------------------------------------------------


def test_rafdb_carries_gender_race_and_age_where_they_are_known(tmp_path: Path) -> None:
    faces = read(tree(tmp_path / "basic", FORMATS["rafdb"].example)).faces
    known = {name: values.tolist() for name, values in faces.attributes.items()}
    assert known == {"gender": ["female", ""], "race": ["Caucasian", ""], "age": ["20-39", ""]}
    assert rows(read(tmp_path).faces) == rows(faces), "the folder above `basic` will do"


def test_a_rafdb_code_that_is_none_is_named(tmp_path: Path) -> None:
    root = tree(tmp_path / "basic", FORMATS["rafdb"].example)
    (attributes,) = (root / "Annotation" / "manual").iterdir()
    lines = attributes.read_text().splitlines()
    attributes.write_text("\n".join([*lines[:-1], "-1"]))
    with pytest.raises(DataError, match="the last three lines are not gender, race and age"):
        read(root)


def test_rafdbs_codes(tmp_path: Path) -> None:
    (tmp_path / "EmoLabel").mkdir()
    (tmp_path / "EmoLabel" / "list_patition_label.txt").write_text(
        "".join(f"test_{code:04}.jpg {code}\n" for code in range(1, 8))
    )
    for code in range(1, 8):
        picture(tmp_path / "Image" / "aligned" / f"test_{code:04}_aligned.jpg")
    names = [name for _, name in rows(read(tmp_path).faces)]
    assert names == ["surprise", "fear", "disgust", "happy", "sad", "angry", "neutral"]


AFFECTNET = FORMATS["affectnet"].example


def test_affectnets_faces_are_cut_out_by_their_boxes(tmp_path: Path) -> None:
    root = tree(tmp_path, AFFECTNET)
    faces = read(root, size_px=30).faces
    photo = cv2.imread(str(root / "Manually_Annotated_Images/689/one.jpg"), cv2.IMREAD_GRAYSCALE)
    expected = cv2.resize(photo[12:72, 10:70], (30, 30), interpolation=cv2.INTER_AREA)
    assert np.abs(faces.faces_u8[0].astype(int) - expected).max() <= 2
    assert faces.attributes["valence"].tolist() == ["0.785714", "-0.6"]


def test_affectnets_pictures_that_were_cut_out_before_are_taken_whole(tmp_path: Path) -> None:
    root = tree(tmp_path, AFFECTNET)
    table = root / "Manually_Annotated_file_lists" / "training.csv"
    table.write_text(table.read_text().replace("10,12,60,60", "134,134,899,899"))
    faces = read(root, size_px=30).faces
    expected = expected_face(root / "Manually_Annotated_Images/689/one.jpg", 30)
    assert np.abs(faces.faces_u8[0].astype(int) - expected).max() <= 2


def _affectnet(root: Path, first_box: str, count: int = 20) -> Path:
    """Write pictures of 100 x 100 with fitting boxes, but for the first."""
    lines = [AFFECTNET.splitlines()[1].removeprefix("    | ")]
    for number in range(count):
        picture(root / "images" / f"{number}.jpg")
        lines.append(f"images/{number}.jpg,{first_box if number == 0 else '10,12,60,60'},1;2,1,0.5,0.5")
    (root / "training.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.mark.parametrize("box", ["2,2,nan,40", "inf,2,40,40", "2,2,0,0", "2,2,40,0", "2,2,-40,-40"])
def test_a_box_of_affectnet_that_is_none_is_named(tmp_path: Path, box: str) -> None:
    with pytest.raises(DataError, match=rf"training\.csv:2: the face's box '{box}' is none; wanted finite numbers"):
        read(_affectnet(tmp_path, box))


@pytest.mark.parametrize("box", ["-500,-500,40,40", "500,2,40,40", "2,2,1e30,40", "1e30,2,40,40", "2,-39,40,40"])
def test_a_box_of_affectnet_outside_its_picture_counts_as_broken(tmp_path: Path, box: str) -> None:
    prepared = read(_affectnet(tmp_path, box), allow_missing=True)
    assert (len(prepared.faces), len(prepared.missing)) == (19, 1)
    assert "lies outside the picture of 100 x 100 pixels" in prepared.missing[0]


def test_a_box_of_affectnet_that_sticks_out_a_little_is_cut_with_the_border_going_on(tmp_path: Path) -> None:
    prepared = read(_affectnet(tmp_path, "-10,-10,60,60"), size_px=60)
    photo = cv2.imread(str(tmp_path / "images/0.jpg"), cv2.IMREAD_GRAYSCALE)
    expected = np.pad(photo[:50, :50], ((10, 0), (10, 0)), mode="edge")
    assert np.abs(prepared.faces.faces_u8[0].astype(int) - expected).max() <= 2


def test_affectnets_boxes_that_begin_outside_are_those_of_other_pictures(tmp_path: Path) -> None:
    root = _affectnet(tmp_path, "-500,-500,40,40", count=1)
    face = read(root, size_px=30).faces.faces_u8[0]
    assert np.abs(face.astype(int) - expected_face(root / "images/0.jpg", 30)).max() <= 2, "taken whole"


def test_a_video_is_a_group_and_its_two_people_are_one_video(tmp_path: Path) -> None:
    example = FORMATS["affwild2"].example.replace("video1", "video2_right")
    faces = read(tree(tmp_path, example)).faces
    assert faces.attributes["group"].tolist() == ["video2"] * 3
    assert len(set(faces.groups.tolist())) == 1
    assert len(set(faces.twins.tolist())) > 1


def test_a_labelled_frame_without_a_crop_is_left_out_and_a_video_without_a_folder_is_missing(tmp_path: Path) -> None:
    root = tree(tmp_path, FORMATS["affwild2"].example)
    (root / "cropped_aligned/video1/00001.jpg").unlink()
    assert read(root).left_out["no crop of the frame (no face was found in it)"] == 1
    (root / "cropped_aligned/video1/00003.jpg").unlink()
    (root / "cropped_aligned/video1").rmdir()
    with pytest.raises(DataError, match=r"Missing or broken: 2 of 3 pictures of Aff-Wild2 \(66\.7 %\)"):
        read(root)


def test_aff_wild2s_other_annotations_are_not_mistaken_for_expressions(tmp_path: Path) -> None:
    root = tree(tmp_path, FORMATS["affwild2"].example)
    expressions = read(root)
    for challenge in ("AU_Detection_Challenge", "VA_Estimation_Challenge"):
        other = root / "annotations" / challenge / "Train_Set" / "video1.txt"
        other.parent.mkdir(parents=True)
        other.write_text("valence,arousal\n0.1,0.2\n")
    assert read(root).faces.sha256 == expressions.faces.sha256


def test_aligned_crops_are_not_mistaken_for_whole_frames(tmp_path: Path) -> None:
    root = tree(tmp_path, FORMATS["affwild2"].example)
    crops = read(root)
    for other in ("cropped", "frames"):
        picture(root / other / "video1" / "00001.jpg", seed=7)
    assert read(root).faces.sha256 == crops.faces.sha256
    (root / "cropped_aligned").rename(root / "mine")
    with pytest.raises(
        DataError, match=r"several folders of pictures of video1 \(.*wanted the aligned crops in one called"
    ):
        read(root)


# ---- a table of one's own ------------------------------------------------------------------------


def test_a_parquet_table_gives_what_the_csv_gives(tmp_path: Path) -> None:
    root = tree(tmp_path, FORMATS["manifest"].example)
    columns = list(zip(*(line.split(",") for line in (root / "faces.csv").read_text().split()), strict=True))
    pq.write_table(pa.table({name: values for name, *values in columns}), root / "faces.parquet")
    from_csv, from_parquet = read(root / "faces.csv").faces, read(root / "faces.parquet").faces
    assert from_csv.sha256 == from_parquet.sha256
    for faces in (from_csv, from_parquet):
        assert {name: values.tolist() for name, values in faces.attributes.items()} == {
            "group": ["anna", "ben", "carl"],
            "lighting": ["dim", "bright", "dim"],
        }


def test_attributes_come_back_from_disk_and_follow_their_faces(tmp_path: Path) -> None:
    read(tree(tmp_path / "set", FORMATS["manifest"].example) / "faces.csv").save(tmp_path / "a.faceset")
    faces = open_faceset(tmp_path / "a.faceset")
    assert faces.split("test").attributes["lighting"].tolist() == ["dim"]
    assert faces.take(np.array([1])).attributes["group"].tolist() == ["ben"]


def test_a_tables_splits_come_in_the_order_that_people_expect(tmp_path: Path) -> None:
    """Whichever row is first: twins and groups are counted in the later split, against the faces to learn from."""
    lines = ["path,label,split,group"]
    for number, split in enumerate(("other", "test", "test", "val", "train")):
        picture(tmp_path / f"{number}.jpg")
        lines.append(f"{number}.jpg,happy,{split},one person")
    (tmp_path / "own.csv").write_text("\n".join(lines) + "\n")
    faces = read(tmp_path / "own.csv").faces
    assert faces.split_names == ("train", "val", "test", "other")
    assert describe(faces).divided["train", "test"] == 2


def test_a_pandas_index_in_front_is_no_attribute(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    (tmp_path / "own.csv").write_text(",path,label\n0,a.jpg,happy\n")
    assert read(tmp_path / "own.csv").faces.attributes == {}


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_spaces_around_a_cell_make_no_other_person_split_or_path(tmp_path: Path, suffix: str) -> None:
    lines = ["path,label,split,group", "a.jpg,happy,train,anna", " b.jpg , sad, train,anna ", "c.jpg,sad,test ,  "]
    for path in "abc":
        picture(tmp_path / f"{path}.jpg")
    (tmp_path / "own.csv").write_text("\n".join(lines) + "\n")
    columns = list(zip(*(line.split(",") for line in lines), strict=True))
    pq.write_table(pa.table({name: values for name, *values in columns}), tmp_path / "own.parquet")
    faces = read(tmp_path / f"own.{suffix}").faces
    assert rows(faces) == [("train", "happy"), ("train", "sad"), ("test", "sad")]
    assert faces.attributes["group"].tolist() == ["anna", "anna", ""]


def test_a_nan_in_a_parquet_table_is_an_empty_cell(tmp_path: Path) -> None:
    for path in ("a.jpg", "b.jpg", "c.jpg"):
        picture(tmp_path / path)
    content = {"path": ["a.jpg", "b.jpg", "c.jpg"], "label": ["sad"] * 3, "group": [float("nan"), float("nan"), 7.5]}
    pq.write_table(pa.table(content), tmp_path / "own.parquet")
    faces = read(tmp_path / "own.parquet").faces
    assert faces.attributes["group"].tolist() == ["", "", "7.5"]
    assert len(set(faces.groups.tolist())) == 3


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_column_that_is_there_twice_is_an_error(tmp_path: Path, suffix: str) -> None:
    picture(tmp_path / "a.jpg")
    (tmp_path / "own.csv").write_text("path,label,sex,Sex\na.jpg,happy,m,f\n")
    values = [pa.array([value]) for value in ("a.jpg", "happy", "m", "f")]
    pq.write_table(pa.Table.from_arrays(values, names=["path", "label", "sex", "Sex"]), tmp_path / "own.parquet")
    with pytest.raises(DataError, match=rf"own\.{suffix} has more than one column sex .*; wanted each once"):
        read(tmp_path / f"own.{suffix}")


def test_only_a_path_and_a_label_are_needed(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    (tmp_path / "own.csv").write_text("label,path\nHappiness,a.jpg\n")
    faces = read(tmp_path / "own.csv").faces
    assert (rows(faces), faces.name, faces.attributes) == ([("all", "happy")], "own", {})


# ---- what is missing, broken, or asked for in vain ----------------------------------------------


def _many(root: Path, count: int) -> Path:
    lines = ["path,label,split"]
    for number in range(count):
        Image.fromarray(np.full((16, 16), number % 256, np.uint8)).save(root / f"{number}.png")
        lines.append(f"{number}.png,{EXPRESSIONS[number % 7]},train")
    (root / "own.csv").write_text("\n".join(lines) + "\n")
    return root / "own.csv"


def test_up_to_one_percent_missing_or_broken_is_listed_counted_and_skipped(tmp_path: Path) -> None:
    table = _many(tmp_path, 300)
    (tmp_path / "5.png").unlink()
    (tmp_path / "7.png").write_bytes((tmp_path / "7.png").read_bytes()[:40])
    (tmp_path / "9.png").write_text("no picture")
    prepared = read(table, size_px=16)
    assert len(prepared.faces) == 297
    assert [re.search(r"(\d+)\.png", sentence)[1] for sentence in prepared.missing] == ["5", "7", "9"]  # type: ignore[index]
    np.testing.assert_array_equal(prepared.faces.faces_u8[:, 0, 0][:7], [0, 1, 2, 3, 4, 6, 8])
    prepared.save(tmp_path / "a.faceset")
    assert (tmp_path / "a.faceset" / "missing.txt").read_text().splitlines() == list(prepared.missing)


def test_a_set_whose_folder_has_a_name_that_is_not_utf8_is_named_in_text(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/f\xfcr"))
    picture(folder / "angry" / "a.png")
    made = read(folder).faces
    assert made.name == "f\\xfcr"
    replace(made, attributes={"light": np.array(["dim"])}).save(folder / "a.faceset")
    assert open_faceset(folder / "a.faceset").attributes["light"].tolist() == ["dim"]


def test_a_long_thin_picture_is_no_face(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    Image.new("L", (900, 8)).save(tmp_path / "b.png")
    (tmp_path / "own.csv").write_text("path,label\na.png,happy\nb.png,happy\n")
    made = read(tmp_path / "own.csv", allow_missing=True)
    assert len(made.faces) == 1
    assert "b.png is 900 x 8 pixels, too long and thin for a face" in made.missing[0]


def test_a_missing_picture_may_have_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    folder = tmp_path / "set" / "angry"
    picture(folder / "a.png")
    name = os.fsencode(folder) + b"/b\xe9.png"
    Path(os.fsdecode(name)).write_text("no picture")
    read(tmp_path / "set", allow_missing=True).save(tmp_path / "a.faceset")
    assert name in (tmp_path / "a.faceset" / "missing.txt").read_bytes()


def test_more_than_that_is_an_error_unless_it_is_allowed(tmp_path: Path) -> None:
    table = _many(tmp_path, 300)
    for number in range(4):
        (tmp_path / f"{number}.png").unlink()
    with pytest.raises(DataError, match=r"Missing or broken: 4 of 300 pictures of own \(1\.3 %\).*--allow-missing"):
        read(table, size_px=16)
    assert len(read(table, size_px=16, allow_missing=True).faces) == 296


def test_nothing_that_can_be_read_is_an_error_even_where_missing_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("path,label\na.png,happy\n")
    with pytest.raises(DataError, match=r"Missing or broken: 1 of 1 picture of own \(100\.0 %\); check where they lie"):
        read(tmp_path / "own.csv", allow_missing=True)


def test_a_draw_keeps_classes_and_splits_in_proportion_and_follows_its_seed(tmp_path: Path) -> None:
    table = _many(tmp_path, 210)
    faces = read(table, size_px=16, take=70).faces
    assert np.bincount(faces.labels).tolist() == [10] * 7
    assert read(table, size_px=16, take=70).faces.sha256 == faces.sha256
    assert read(table, size_px=16, take=70, seed=1).faces.sha256 != faces.sha256


def _own(content: str) -> Callable[[Path], Path]:
    def write(root: Path) -> Path:
        picture(root / "a.jpg")
        (root / "own.csv").write_text(content)
        return root / "own.csv"

    return write


def _changed(name: str, old: str, new: str) -> Callable[[Path], Path]:
    return lambda root: tree(root / "set", FORMATS[name].example.replace(old, new))


@pytest.mark.parametrize(
    ("write", "wanted", "sentence"),
    [
        (_own("path,label\na.jpg,bored\n"), {}, r"own\.csv:2: 'bored' is no expression"),
        (_own("path,label\na.jpg,happy,x\n"), {}, r"own\.csv:2: 3 columns, and the header has 2"),
        (_own("path,mood\na.jpg,happy\n"), {}, "in no layout that mien knows; see `mien data formats`"),
        (_own("path,label,split\n" + "".join(f"a.jpg,sad,p{i}\n" for i in range(30))), {}, "names 30 splits"),
        (_own("path,label\na.jpg,happy\n"), {"labels": ("sad",)}, "own has no faces labelled sad; it has happy"),
        (_own("path,label\na.jpg,happy\n"), {"labels": ("hapy",)}, "no expression 'hapy'; did you mean happy"),
        (_own("path,label\na.jpg,happy\n"), {"take": 2}, "Cannot take 2 faces out of 1"),
        (_own("path,label\na.jpg,happy\n"), {"colour": "gray"}, "no colour 'gray'; did you mean grey"),
        (_own("path,label\na.jpg,happy\n"), {"size_px": 4}, "too small"),
        (_own("path,label\na.jpg,happy\n"), {"size_px": 1025}, "too large; wanted 16 to 1024 with --size"),
        (_own("path,label\na.jpg,happy\n"), {"votes": Path("v.csv")}, "manifest has no use for --votes"),
        (_own("path,label\na.jpg,other\n"), {}, r"own has no picture of an expression \(left out: 1 other\)"),
        (_own("path,label\n"), {}, r"own has no picture of an expression \(it has none at all\)"),
        (_changed("rafdb", "train_00001.jpg 5", "train_00001.jpg 8"), {}, r"label\.txt:1: '8' is not 1-7"),
        (_changed("rafdb", "train_00001.jpg 5", "face.jpg 5"), {}, "is not like `train_00001.jpg 5`"),
        (_changed("affectnet", "35.2,9,", "35.2,11,"), {}, r"training\.csv:3: expression '11' is not 0-10"),
        (_changed("affectnet", "9,9,62,62", "9,9,NULL,62"), {}, r"validation\.csv:1: .* is not four numbers"),
        (_changed("affwild2", "    | 6", "    | 9"), {}, r"video1\.txt:4: '9' is neither -1 nor 0-7"),
        (_changed("affwild2", "Neutral,Anger", "Neutral,Wrath"), {}, "the first line is not Neutral,Anger"),
    ],
)
def test_bad_input_is_named(
    tmp_path: Path, write: Callable[[Path], Path], wanted: dict[str, object], sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        read(write(tmp_path), **wanted)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("rafdb", "EmoLabel/list_patition_label.txt"),
        ("rafdb", "Annotation/manual/train_00001_manu_attri.txt"),
        ("affectnet", "Manually_Annotated_file_lists/training.csv"),
        ("affwild2", "annotations/EXPR_Classification_Challenge/Train_Set/video1.txt"),
        ("manifest", "faces.csv"),
    ],
)
@pytest.mark.parametrize("content", [b"\xff\xfe\x00\x80", b""])
def test_a_table_that_is_no_text_or_is_empty_is_named(tmp_path: Path, name: str, file: str, content: bytes) -> None:
    root = tree(tmp_path, FORMATS[name].example)
    (root / file).write_bytes(content)
    with pytest.raises(DataError, match=f"{Path(file).name}|RAF-DB has no picture"):
        prepare(root / "faces.csv" if name == "manifest" else root, Wanted(), format_name=name)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("rafdb", "give RAF-DB's folder `basic`"),
        ("affectnet", "has no training.csv"),
        ("affwild2", "has no folder EXPR_"),
        ("folder", "has no class folders"),
        ("manifest", "There is no file"),
        ("ferplus", "FER\\+ needs the voters' file; give fer2013new.csv with --votes"),
        ("rafbd", "no format 'rafbd'; did you mean rafdb"),
    ],
)
def test_a_named_format_says_what_it_misses(tmp_path: Path, name: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        prepare(tmp_path, Wanted(), format_name=name)


def test_twins_and_divided_videos_are_counted_apart(tmp_path: Path) -> None:
    lines = ["path,label,split,group"]
    for path, split, group in (
        ("a.png", "train", "v1"),
        ("b.png", "train", "v2"),
        ("c.png", "test", "v1"),
        ("d.png", "test", "v1"),
        ("e.png", "test", ""),
        ("f.png", "test", "v3"),
    ):
        picture(tmp_path / path, seed=1 if path in ("b.png", "f.png") else None)
        lines.append(f"{path},happy,{split},{group}")
    (tmp_path / "own.csv").write_text("\n".join(lines) + "\n")
    faces = read(tmp_path / "own.csv").faces
    found = describe(faces)
    assert found.twins == {("train", "test"): 1}, "f is b"
    assert found.divided == {("train", "test"): 2}, "c and d are of the video of a"
    a, b, c, d, e, f = faces.groups.tolist()
    assert a == c == d != b == f, "and the twin ties v2 and v3 together"
    assert e not in (a, b)
