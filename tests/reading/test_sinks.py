import csv
import io
import json
import math
import os
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mien.errors import OutputError
from mien.labels import EXPRESSIONS, UNSURE
from mien.reading.face_reading import FaceReading, FrameReading
from mien.reading.reader import Reader
from mien.reading.sinks.crops import FaceCrops
from mien.reading.sinks.drawing import BLUR_SQUARES, COLOURS, blurred, draw_faces
from mien.reading.sinks.pictures import AnnotatedClip, AnnotatedFolder, picture_sink
from mien.reading.sinks.tables import JsonStream, table_sink
from mien.reading.sources import Frame, frames
from tests.conftest import write_mpeg

BLANK = np.full((120, 160, 3), 60, np.uint8)


def _face(number: int = 0, box: tuple[int, int, int, int] = (30, 40, 50, 50), **changes: object) -> FaceReading:
    probabilities = (0.05, 0.05, 0.05, 0.6, 0.05, 0.05, 0.15)
    fields = {"source": "a.mp4", "frame": 3, "time_s": 0.25, "detection_score": 0.9, "unsure_below": 0.5}
    return FaceReading(
        face=number, box_xywh_px=box, labels=EXPRESSIONS, probabilities=probabilities, **(fields | changes)
    )


TWO = FrameReading("a.mp4", 3, 0.25, (_face(0), _face(1, unsure_below=0.7)))
NONE = FrameReading("a.mp4", 4, 0.5, ())
FRAME = Frame(BLANK, "a.mp4", 3, 0.25)


def _written(path: Path) -> Path:
    with table_sink(path, EXPRESSIONS) as sink:
        sink.write(FRAME, TWO)
        sink.write(FRAME, NONE)
    return path


def test_csv_has_a_row_a_face_and_one_for_a_frame_without(tmp_path: Path) -> None:
    with _written(tmp_path / "r.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["frame"], row["time_s"], row["face"]) for row in rows] == [
        ("3", "0.25", "0"),
        ("3", "0.25", "1"),
        ("4", "0.5", ""),
    ]
    assert [row["expression"] for row in rows] == ["happy", UNSURE, ""]
    assert [row["dominant_emotion"] for row in rows] == ["happy", "happy", ""]
    assert (rows[0]["x"], rows[0]["h"], rows[0]["happy"]) == ("30", "50", "0.6")


def test_parquet_has_the_same_rows_with_types(tmp_path: Path) -> None:
    table = pq.read_table(_written(tmp_path / "r.parquet"))
    assert table["face"].to_pylist() == [0, 1, None]
    assert table["time_s"].to_pylist() == [0.25, 0.25, 0.5]
    assert table["happy"].to_pylist() == [pytest.approx(0.6), pytest.approx(0.6), None]
    assert str(table.schema.field("frame").type) == "int64"


def test_parquet_without_any_face_has_the_same_types(tmp_path: Path) -> None:
    with table_sink(tmp_path / "none.parquet", EXPRESSIONS) as sink:
        sink.write(FRAME, NONE)
    assert pq.read_schema(tmp_path / "none.parquet") == pq.read_schema(_written(tmp_path / "r.parquet"))


def test_many_rows_are_written_in_groups(tmp_path: Path) -> None:
    (tmp_path / ".r.parquet.parts").mkdir()
    (tmp_path / ".r.parquet.parts" / "000000.parquet").write_bytes(b"of another reading")
    with table_sink(tmp_path / "r.parquet", EXPRESSIONS) as sink:
        for _ in range(5000):
            sink.write(FRAME, TWO)
    assert pq.ParquetFile(tmp_path / "r.parquet").metadata.num_row_groups > 1
    assert pq.read_metadata(tmp_path / "r.parquet").num_rows == 10_000
    assert [path.name for path in tmp_path.iterdir()] == ["r.parquet"], "no parts are left"


def test_no_two_processes_write_one_parquet(tmp_path: Path) -> None:
    with table_sink(tmp_path / "r.parquet", EXPRESSIONS) as sink:
        sink.write(FRAME, TWO)
        with (
            pytest.raises(OutputError, match=r"Another process is writing .*r\.parquet; wait for it"),
            table_sink(tmp_path / "r.parquet", EXPRESSIONS),
        ):
            pass
    assert pq.read_metadata(tmp_path / "r.parquet").num_rows == 2


def test_parquet_goes_into_a_folder_whose_name_is_not_utf8(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/f\xfcr"))
    folder.mkdir()
    with (_written(folder / "r.parquet")).open("rb") as file:
        assert pq.read_table(file).num_rows == 3


def test_json_lines_and_the_json_array_have_the_form_of_as_dict(tmp_path: Path) -> None:
    lines = [json.loads(line) for line in _written(tmp_path / "r.jsonl").read_text().splitlines()]
    stream = io.StringIO()
    with JsonStream(stream) as sink:
        sink.write(FRAME, TWO)
        sink.write(FRAME, NONE)
    assert json.loads(stream.getvalue()) == lines
    assert {key: lines[0][key] for key in TWO.faces[0].as_dict()} == TWO.faces[0].as_dict()
    assert lines[2] == dict.fromkeys(lines[0]) | {"source": "a.mp4", "frame": 4, "time_s": 0.5}


@pytest.mark.parametrize("name", ["r.csv", "r.parquet", "r.jsonl"])
def test_a_reading_that_fails_leaves_nothing_behind(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("old")
    with pytest.raises(RuntimeError), table_sink(tmp_path / name, EXPRESSIONS) as sink:
        sink.write(FRAME, TWO)
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["mien-home", name][1 - (tmp_path / "mien-home").exists() :]
    assert (tmp_path / name).read_text() == "old"


def test_a_table_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"must end in one of \.csv, \.jsonl, \.parquet"):
        table_sink(tmp_path / "r.xlsx", EXPRESSIONS)


def test_boxes_are_drawn_in_the_colour_of_the_expression() -> None:
    drawn = draw_faces(BLANK, (_face(),))
    colour = tuple(int(COLOURS["happy"][i : i + 2], 16) for i in (5, 3, 1))
    assert tuple(drawn[60, 30].tolist()) == colour
    assert (drawn[70:80, 45:65] == 60).all(), "the face itself is left alone"
    assert (BLANK == 60).all(), "the original is left alone"


@pytest.mark.parametrize("box", [(-20, -20, 60, 60), (140, 100, 60, 60), (0, 0, 160, 120), (70, 2, 20, 20)])
def test_a_label_stays_inside_the_picture(box: tuple[int, int, int, int]) -> None:
    drawn = draw_faces(BLANK, (_face(box=box),))
    colour = np.array([int(COLOURS["happy"][i : i + 2], 16) for i in (5, 3, 1)])
    ground = np.pad((drawn == colour).all(axis=2), 1)
    # Deep inside the label's ground, unlike on the box's thin edge, a pixel has filled neighbours on all sides.
    deep = ground[1:-1, 1:-1] & ground[:-2, 1:-1] & ground[2:, 1:-1] & ground[1:-1, :-2] & ground[1:-1, 2:]
    assert deep.sum() > 80, "the label's ground is visible"
    on_the_label = drawn[np.ix_(deep.any(axis=1), deep.any(axis=0))]
    assert (on_the_label < 40).all(axis=2).sum() > 10, "its letters are visible"


def test_labels_of_faces_that_stand_close_do_not_cover_each_other_nor_the_faces() -> None:
    canvas = np.full((360, 640, 3), 60, np.uint8)
    alike = {"happy": 3, "surprise": 5, "fear": 2}
    faces = []
    for number, place in enumerate(alike.values()):
        shares = tuple(0.9 if k == place else 0.1 / 6 for k in range(7))
        face = _face(number, box=(100 + 36 * number, 150, 30 - number, 30 - number))
        faces.append(replace(face, probabilities=shares))

    def of_colour(image: np.ndarray, name: str) -> int:
        colour = [int(COLOURS[name][i : i + 2], 16) for i in (5, 3, 1)]
        return int((image == colour).all(axis=2).sum())

    together = draw_faces(canvas, tuple(faces))
    for face in faces:
        name = face.dominant_emotion
        assert of_colour(together, name) >= 0.95 * of_colour(draw_faces(canvas, (face,)), name), name
        x, y, side, _ = face.box_xywh_px
        assert (together[y + 5 : y + side - 5, x + 5 : x + side - 5] == 60).all(), name


def _noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)


def test_blur_leaves_a_few_squares_of_each_face_also_of_those_that_are_not_read() -> None:
    reading = FrameReading(
        "a.mp4", 0, 0.0, (_face(box=(40, 60, 60, 60)),), hidden_xywh_px=((200.0, 100.0, 50.0, 50.0),)
    )
    image = blurred(_noise(), reading)
    for x, y, side in ((40, 60, 60), (200, 100, 50)):
        assert len(np.unique(image[y : y + side, x : x + side].reshape(-1, 3), axis=0)) <= BLUR_SQUARES**2
    np.testing.assert_array_equal(image[:40], _noise()[:40])
    over_the_edge = FrameReading("a.mp4", 0, 0.0, (_face(box=(-30, -30, 60, 60)), _face(box=(900, 900, 60, 60))))
    assert len(np.unique(blurred(_noise(), over_the_edge)[:20, :20].reshape(-1, 3), axis=0)) <= BLUR_SQUARES**2


@pytest.mark.parametrize("name", ["out.png", "out.mp4"])
def test_blur_reaches_every_picture_that_is_written(astronaut: Path, clip: Path, tmp_path: Path, name: str) -> None:
    """What is written of the face has lost its detail; what is written elsewhere has not."""
    source = clip if name.endswith("mp4") else astronaut
    for blur in (False, True):
        with picture_sink(tmp_path / f"{blur}-{name}", source, blur=blur) as sink:
            Reader(search_every_s=0).read_into([sink], [source])
    sharp, hidden = (next(iter(frames(tmp_path / f"{blur}-{name}"))).image_bgr for blur in (False, True))
    left = 177 - (64 if source == clip else 0)
    mouth = np.s_[130:150, left + 30 : left + 70]
    rough = [float(np.abs(np.diff(image[mouth].astype(int), axis=1)).mean()) for image in (sharp, hidden)]
    assert rough[1] < 0.5 * rough[0]
    assert np.abs(sharp[250:].astype(int) - hidden[250:]).mean() < 3
    original = next(iter(frames(source))).image_bgr
    assert np.abs(sharp[250:].astype(int) - original[250:]).mean() < 8, "red is red"


def test_bars_stand_beside_a_face_and_stay_off_others() -> None:
    canvas = np.full((360, 640, 3), 60, np.uint8)
    drawn = draw_faces(canvas, (_face(box=(250, 100, 120, 120)),))
    changed = (drawn != 60).any(axis=2)
    assert changed[100:220, 380:450].mean() > 0.9, "a panel on the right"
    assert not changed[:, :200].any()
    both = draw_faces(canvas, (_face(box=(250, 100, 120, 120)), _face(1, box=(400, 110, 120, 120))))
    assert ((both != 60).any(axis=2)[120:200, 410:510]).mean() < 0.05, "no panel over the other face"
    small = draw_faces(canvas, (_face(box=(250, 100, 40, 40)),))
    assert not (small != 60).any(axis=2)[110:130, 300:].any(), "no bars for a small face"


def test_the_label_has_the_number_of_the_track() -> None:
    canvas = np.full((360, 640, 3), 60, np.uint8)
    plain, numbered = (draw_faces(canvas, (_face(box=(250, 100, 50, 50), track=track),)) for track in (None, 7))
    assert (numbered != 60).any(axis=2).sum() > (plain != 60).any(axis=2).sum(), "a longer label"


def test_crops_are_named_so_that_they_are_found_again(clip: Path, astronaut: Path, tmp_path: Path) -> None:
    with FaceCrops(tmp_path / "crops", []) as sink:
        Reader().read_into([sink], [clip, astronaut])
    names = sorted(path.name for path in (tmp_path / "crops").iterdir())
    assert names[0] == "astronaut-f000000-face0-happy.jpg"
    assert names[1:] == [
        f"clip-f{frame:06d}-t{track:03d}-happy.jpg" for frame, track in ((0, 0), (1, 0), (3, 1), (4, 1))
    ]
    with Image.open(tmp_path / "crops" / names[0]) as crop:
        assert 100 < crop.width < 200


def test_every_expression_has_a_colour_of_its_own() -> None:
    assert set(COLOURS) == {*EXPRESSIONS, UNSURE}
    assert len(set(COLOURS.values())) == len(COLOURS)


def test_an_annotated_clip_keeps_frames_and_their_times(clip: Path, tmp_path: Path) -> None:
    reader = Reader()
    with picture_sink(tmp_path / "boxes.mp4", clip) as sink:
        reader.read_into([sink], [clip])
    with av.open(tmp_path / "boxes.mp4") as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p"), "what every browser plays"
        times = [frame.time for frame in container.decode(stream)]
    assert times == pytest.approx([frame.time_s for frame in frames(clip)], abs=1e-4)
    head = (tmp_path / "boxes.mp4").read_bytes()
    assert head.index(b"moov") < head.index(b"mdat"), "the index comes first, so that a browser starts at once"


def test_the_sound_of_a_clip_is_kept_as_it_is(shared: Path, tmp_path: Path) -> None:
    source = shared / "media" / "single_face.mp4"
    with picture_sink(tmp_path / "boxes.mp4", source) as sink:
        Reader(every_s=0.5).read_into([sink], [source])

    def sound(path: Path) -> list[tuple[float, bytes]]:
        with av.open(path) as container:
            packets = [packet for packet in container.demux(audio=0) if packet.size]
            return [(float(packet.pts * packet.time_base), bytes(packet)) for packet in packets]

    kept, original = sound(tmp_path / "boxes.mp4"), sound(source)
    assert [packet for _, packet in kept] == [packet for _, packet in original]
    assert [time for time, _ in kept] == pytest.approx([time for time, _ in original], abs=2e-3)


def _write_with_sound(path: Path, codec: str, *, rate: int) -> Path:
    """Write five black frames, and as long a silence."""
    with av.open(path, "w") as container:
        video, audio = container.add_stream("libx264", rate=25), container.add_stream(codec, rate=rate)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for _ in range(5):
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8))))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, rate // 5), np.int16), format="s16", layout="mono")
        silence.sample_rate, silence.pts = rate, 0
        container.mux([*video.encode(None), *audio.encode(silence), *audio.encode(None)])
    return path


def test_a_clip_without_sound_and_one_whose_sound_no_mp4_can_hold_are_drawn_all_the_same(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for source in (clip, _write_with_sound(tmp_path / "raw.mkv", "pcm_s16le", rate=8000)):
        with picture_sink(tmp_path / "boxes.mp4", source) as sink:
            Reader().read_into([sink], [source])
        with av.open(tmp_path / "boxes.mp4") as container:
            assert len(list(container.decode(video=0))) == 5
    assert "has no sound: pcm_s16le does not fit into .mp4" in capsys.readouterr().err


def test_opus_is_left_out_of_a_mov(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = _write_with_sound(tmp_path / "talk.mkv", "libopus", rate=48_000)
    for suffix, sounds in ((".mov", 0), (".mp4", 1)):
        with picture_sink(tmp_path / f"boxes{suffix}", source) as sink:
            Reader().read_into([sink], [source])
        with av.open(tmp_path / f"boxes{suffix}") as container:
            assert len(container.streams.audio) == sounds
    assert "boxes.mov has no sound: opus does not fit into .mov" in capsys.readouterr().err


def test_matroska_keeps_what_mp4_cannot_hold(tmp_path: Path) -> None:
    source = _write_with_sound(tmp_path / "talk.mkv", "mp2", rate=48_000)
    with picture_sink(tmp_path / "boxes.mkv", source) as sink:
        Reader().read_into([sink], [source])
    with av.open(tmp_path / "boxes.mkv") as container:
        assert container.streams.audio[0].codec_context.codec.canonical_name == "mp2"


@pytest.mark.parametrize("suffix", [".mov", ".mkv"])
def test_uncompressed_sound_is_kept_where_it_fits(tmp_path: Path, suffix: str) -> None:
    source = _write_with_sound(tmp_path / "camera.mov", "pcm_s16le", rate=8000)
    with picture_sink(tmp_path / f"boxes{suffix}", source) as sink:
        Reader().read_into([sink], [source])
    kept = []
    for path in (source, tmp_path / f"boxes{suffix}"):
        with av.open(path) as container:
            assert container.streams.audio[0].codec_context.name == "pcm_s16le"
            kept.append(sum(packet.size for packet in container.demux(audio=0)))
    assert kept[0] == kept[1] > 0


def test_sound_that_nobody_knows_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = _write_with_sound(tmp_path / "odd.mov", "pcm_s16le", rate=8000)
    source.write_bytes(source.read_bytes().replace(b"sowt", b"zzzz"))
    with picture_sink(tmp_path / "boxes.mp4", source) as sink:
        Reader().read_into([sink], [source])
    assert len(list(frames(tmp_path / "boxes.mp4"))) == 5
    assert "boxes.mp4 has no sound: its codec does not fit into .mp4" in capsys.readouterr().err


def test_what_the_encoder_refuses_is_said(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = AnnotatedClip(tmp_path / "boxes.mp4")
    monkeypatch.setattr(sink, "_copy_sound", Mock(side_effect=av.error.ArgumentError(22, "Invalid argument")))
    with pytest.raises(OutputError, match=r"Cannot write .*boxes\.mp4 \(Invalid argument\)"), sink:
        Reader().read_into([sink], [clip])
    assert not any(tmp_path.iterdir()), "nothing half-written"


def test_a_drawn_clip_of_joined_ones_shows_each_frame_as_long_as_it_was(tmp_path: Path) -> None:
    joined = tmp_path / "joined.mpg"
    joined.write_bytes(2 * write_mpeg(tmp_path / "part.mpg").read_bytes())
    with AnnotatedClip(tmp_path / "boxes.mp4") as sink:
        Reader(every_s=0.2).read_into([sink], [joined])
    times = [frame.time_s or 0.0 for frame in frames(tmp_path / "boxes.mp4")]
    assert len(times) == len([*frames(joined, every_s=0.2)])
    assert times[-1] - times[0] > 3.4, "of two times two seconds"


def test_a_clip_of_odd_sides_can_be_annotated(tmp_path: Path) -> None:
    with AnnotatedClip(tmp_path / "odd.mp4") as sink:
        for index in range(3):
            sink.write(Frame(BLANK[:99, :101], "a.mp4", index, index / 10), NONE)
    with av.open(tmp_path / "odd.mp4") as container:
        assert [frame.to_ndarray(format="rgb24").shape for frame in container.decode(video=0)] == [(98, 100, 3)] * 3


def test_a_clip_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), AnnotatedClip(tmp_path / "x.mp4") as sink:
        sink.write(FRAME, TWO)
        raise RuntimeError
    assert not [path for path in tmp_path.iterdir() if path.is_file()]


def test_a_clip_that_fails_at_its_end_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def copy_sound(until_s: float) -> None:
        if until_s == math.inf:
            raise OSError(28, "No space left on device")

    sink = AnnotatedClip(tmp_path / "x.mp4")
    monkeypatch.setattr(sink, "_copy_sound", copy_sound)
    with pytest.raises(OutputError, match=r"x\.mp4: No space left on device"), sink:
        sink.write(FRAME, TWO)
    assert not [path for path in tmp_path.iterdir() if path.is_file()]


def test_a_folder_takes_photos_and_clips_and_keeps_names_apart(clip: Path, astronaut: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "clip.mp4").write_bytes(clip.read_bytes())
    for suffix in (".png", ".jpg"):
        Image.open(astronaut).convert("RGB").save(source / f"face{suffix}")
    files = sorted(source.iterdir())
    with AnnotatedFolder(tmp_path / "out", files) as sink:
        summary = Reader().read_into([sink], files)
    assert (summary.files, summary.frames, summary.faces) == (3, 7, 6)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["clip.mp4", "face-2.jpg", "face.jpg"]


def test_names_that_differ_by_their_case_alone_stay_apart(astronaut: Path, tmp_path: Path) -> None:
    """On the disks of macOS and Windows they would be one file."""
    photos = [tmp_path / "a" / "IMG_1.JPG", tmp_path / "b" / "img_1.jpg"]
    for photo in photos:
        photo.parent.mkdir()
        Image.open(astronaut).convert("RGB").save(photo)
    with AnnotatedFolder(tmp_path / "drawn", photos) as drawn, FaceCrops(tmp_path / "crops", photos) as crops:
        Reader().read_into([drawn, crops], photos)
    for folder in ("drawn", "crops"):
        assert len({path.name.casefold() for path in (tmp_path / folder).iterdir()}) == 2


def test_a_name_as_long_as_any_may_be_costs_nothing(astronaut: Path, tmp_path: Path) -> None:
    photos = [tmp_path / f"{'é' * 124}{letter}.jpg" for letter in "ab"]  # of 253 bytes
    for photo in photos:
        Image.open(astronaut).convert("RGB").save(photo)
    with AnnotatedFolder(tmp_path / "drawn", photos) as drawn, FaceCrops(tmp_path / "crops", photos) as crops:
        summary = Reader().read_into([drawn, crops], photos)
    assert (summary.faces, summary.failures) == (2, [])
    assert [len([*(tmp_path / folder).iterdir()]) for folder in ("drawn", "crops")] == [2, 2]


@pytest.mark.parametrize("folder", ["in", "."])
def test_a_folder_that_holds_what_is_read_is_refused(tmp_path: Path, folder: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "b.jpg").touch()
    with pytest.raises(OutputError, match=r"b\.jpg, which is read, lies in it; give another folder"):
        AnnotatedFolder(tmp_path / folder, [tmp_path / "in" / "b.jpg"])


def test_what_is_read_is_never_overwritten(astronaut: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="the very file that is read"):
        picture_sink(astronaut, astronaut)


@pytest.mark.parametrize(
    ("target", "source"), [("x.mp4", "a.jpg"), ("x.jpg", "a.mp4"), ("x.txt", "a.jpg"), ("x.pgm", "a.jpg")]
)
def test_a_photo_becomes_a_photo_and_a_clip_a_clip(tmp_path: Path, target: str, source: str) -> None:
    with pytest.raises(OutputError, match="its name must end in"):
        picture_sink(tmp_path / target, tmp_path / source)


def test_a_photo_too_wide_for_jpeg_becomes_a_png_among_others_and_one_sentence_by_itself(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    files = [tmp_path / "in" / name for name in ("a.png", "wide.png")]
    for file, width in zip(files, (64, 65_501), strict=True):
        Image.new("RGB", (width, 32)).save(file)
    with AnnotatedFolder(tmp_path / "out", files) as sink:
        assert Reader().read_into([sink], files).failures == []
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.jpg", "wide.png"]
    with (
        pytest.raises(OutputError, match="JPEG takes 65,500 pixels along a side, and the photo has 65,501"),
        picture_sink(tmp_path / "wide.jpg", files[1]) as photo,
    ):
        Reader().read_into([photo], files[1:])
    assert not (tmp_path / "wide.jpg").exists()


def test_a_matroska_clip_is_drawn_without_a_word(clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with picture_sink(tmp_path / "drawn.mkv", clip) as sink:
        Reader().read_into([sink], [clip])
    assert (tmp_path / "drawn.mkv").stat().st_size > 1000
    assert "not used" not in capfd.readouterr().err
