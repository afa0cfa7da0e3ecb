import os
import re
import shutil
import struct
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from mien.errors import DamagedClip, InputError
from mien.files import as_text
from mien.photos import photo_size, read_photo, upright_bgr
from mien.reading.reader import Reader
from mien.reading.sources import Frame, frame_count, frames, media_files
from tests.conftest import CLIP_TIMES_MS, break_a_packet, write_clip, write_long_clip, write_mpeg


def _photo(path: Path) -> np.ndarray:
    (frame,) = frames(path)
    assert (frame.index, frame.time_s, frame.source) == (0, None, str(path))
    return frame.image_bgr


def _gradient(height: int = 40, width: int = 60) -> np.ndarray:
    """RGB that differs in every corner."""
    y, x = np.mgrid[:height, :width]
    return np.stack([4 * x, 6 * y, np.full_like(x, 90)], axis=2).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".bmp", ".tiff", ".jpg"])
def test_a_photo_comes_as_bgr(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"photo{suffix}"
    options = {".jpg": {"quality": 100, "subsampling": 0}, ".webp": {"lossless": True}}.get(suffix, {})
    Image.fromarray(_gradient()).save(path, **options)
    difference = np.abs(_photo(path).astype(int) - _gradient()[:, :, ::-1])
    assert difference.max() <= (4 if suffix == ".jpg" else 0)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize(
    ("orientation", "turned"),
    [(1, lambda p: p), (3, lambda p: p[::-1, ::-1]), (6, lambda p: np.rot90(p, -1)), (8, lambda p: np.rot90(p))],
)
def test_a_photo_is_turned_upright_by_its_exif_flag(  # type: ignore[no-untyped-def]
    tmp_path: Path, orientation: int, turned, suffix: str
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = tmp_path / f"photo.{suffix}"
    Image.fromarray(_gradient()).save(photo, exif=exif)
    upright = turned(_gradient())[:, :, ::-1]
    np.testing.assert_array_equal(_photo(photo), upright)
    assert photo_size(photo) == upright.shape[1::-1]
    with Image.open(photo) as opened:
        np.testing.assert_array_equal(upright_bgr(opened), upright)
        np.testing.assert_array_equal(upright_bgr(opened), upright, "also once it is loaded")


def test_a_badly_made_exif_tag_costs_no_photo(tmp_path: Path) -> None:
    """A resolution that is a byte: Pillow's own turning would write it anew, and cannot."""
    tags = struct.pack("<HHII", 0x0112, 3, 1, 6) + struct.pack("<HHII", 0x011A, 1, 1, 5)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + tags + bytes(4)
    Image.fromarray(_gradient()).save(tmp_path / "photo.jpg", exif=exif, quality=100, subsampling=0)
    difference = np.abs(_photo(tmp_path / "photo.jpg").astype(int) - np.rot90(_gradient(), -1)[:, :, ::-1])
    assert difference.max() <= 4


@pytest.mark.parametrize("exif", [b"II*\0", b"no EXIF at all"])
@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_exif_that_is_cut_off_costs_no_photo(tmp_path: Path, suffix: str, exif: bytes) -> None:
    photo = tmp_path / f"photo.{suffix}"
    Image.fromarray(_gradient()).save(photo, exif=exif, lossless=True)
    np.testing.assert_array_equal(_photo(photo), _gradient()[:, :, ::-1])
    assert photo_size(photo) == (60, 40)


def test_names_that_are_no_utf_8_stay_apart() -> None:
    names = [as_text(Path(os.fsdecode(name))) for name in (b"b\xe9b\xe9.png", b"b\xe8b\xe8.png", "bébé.png".encode())]
    assert len({*names}) == 3
    assert all(name.encode() for name in names)


def test_transparent_parts_become_white(tmp_path: Path) -> None:
    pixels = np.dstack([_gradient(), np.full((40, 60), 255, np.uint8)])
    pixels[:10, :, 3] = 0
    Image.fromarray(pixels, "RGBA").save(tmp_path / "photo.png")
    image = _photo(tmp_path / "photo.png")
    assert (image[:10] == 255).all()
    np.testing.assert_array_equal(image[10:], _gradient()[10:, :, ::-1])


def test_sixteen_bits_grey_and_palette_become_eight_bits_colour(tmp_path: Path) -> None:
    grey = np.arange(0, 65536, 64, dtype=np.uint16).reshape(32, 32)
    Image.fromarray(grey).save(tmp_path / "sixteen.png")
    np.testing.assert_array_equal(_photo(tmp_path / "sixteen.png")[:, :, 1], grey // 257)
    Image.fromarray(_gradient()).quantize(16).save(tmp_path / "palette.gif")
    assert _photo(tmp_path / "palette.gif").shape == (40, 60, 3)
    (tmp_path / "sixteen.pgm").write_bytes(b"P5 32 32 65535\n" + grey.astype(">u2").tobytes())
    np.testing.assert_array_equal(_photo(tmp_path / "sixteen.pgm")[:, :, 1], grey // 257)


@pytest.mark.parametrize("name", ["from-chrome.jfif", "colour.ppm", "orl.pgm"])
def test_names_of_browsers_and_of_older_datasets_are_photos(name: str, tmp_path: Path) -> None:
    picture = Image.fromarray(_gradient())
    (picture.convert("L") if name.endswith("pgm") else picture).save(tmp_path / name)
    assert media_files([tmp_path]) == ([tmp_path / name], [])
    assert _photo(tmp_path / name).shape == (40, 60, 3)


def test_numbers_of_unknown_range_are_refused(tmp_path: Path) -> None:
    for kind in (np.float32, np.int32):
        Image.fromarray(np.full((32, 32), 1, kind)).save(tmp_path / "measured.tif")
        with pytest.raises(InputError, match=r"measured\.tif has 32-bit values, .* save it with 8 or 16 bits"):
            _photo(tmp_path / "measured.tif")
    with pytest.raises(InputError, match="the picture has 32-bit values"):
        upright_bgr(Image.fromarray(np.full((32, 32), 200, np.int32)))


def test_each_frame_of_a_clip_has_its_own_time(clip: Path) -> None:
    read = list(frames(clip))
    assert [frame.index for frame in read] == list(range(5))
    assert [frame.time_s for frame in read] == pytest.approx([ms / 1000 for ms in CLIP_TIMES_MS])
    assert read[0].image_bgr.shape == (320, 320, 3)
    assert frame_count(clip) == 5


def test_frames_are_taken_by_their_time_and_keep_their_numbers(clip: Path, tmp_path: Path) -> None:
    assert [frame.index for frame in frames(clip, every_s=0.1)] == [0, 2, 4]
    assert [frame.index for frame in frames(clip, from_s=0.13)] == [2, 3, 4]
    read = list(frames(write_long_clip(tmp_path / "long.mp4"), every_s=0.2))  # 20 frames a second
    assert [frame.index for frame in read] == list(range(0, 60, 4))


def test_the_timestamps_of_the_real_clip_are_its_own(shared: Path) -> None:
    path = shared / "media" / "single_face.mp4"
    with av.open(path) as container:
        base = container.streams.video[0].time_base
        packets = sorted(packet.pts for packet in container.demux(video=0) if packet.pts is not None)
    assert [frame.time_s for frame in frames(path)] == pytest.approx([float(pts * base) for pts in packets])


@pytest.mark.parametrize(("degrees", "turns"), [(90, -1), (180, 2), (270, 1)])
def test_a_clip_is_turned_upright_by_its_rotation_flag(tmp_path: Path, degrees: int, turns: int) -> None:
    """The flag is written into the file's track header by hand, as a phone does: clockwise degrees."""
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32] = 255  # the upper left quarter is white
    path = write_clip(tmp_path / "clip.mp4", [picture] * 2, [0, 40])
    content = path.read_bytes()
    identity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    cos, sin = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    turned = struct.pack(">9i", cos * 65536, sin * 65536, 0, -sin * 65536, cos * 65536, 0, 0, 0, 1 << 30)
    header = content.index(b"tkhd")
    place = content.index(identity, header)
    path.write_bytes(content[:place] + turned + content[place + 36 :])
    frame = next(iter(frames(path)))
    np.testing.assert_allclose(frame.image_bgr.astype(int), np.rot90(picture, turns), atol=40)


def test_wide_pixels_are_made_square(tmp_path: Path) -> None:
    path = tmp_path / "wide.mp4"
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 48, 3), np.uint8))))
        container.mux(stream.encode(None))
    (frame,) = frames(path)
    assert frame.image_bgr.shape == (64, 64, 3)


def test_joined_clips_that_begin_their_times_anew_lose_no_frame(tmp_path: Path) -> None:
    part, joined = write_mpeg(tmp_path / "part.mpg"), tmp_path / "joined.mpg"
    joined.write_bytes(2 * part.read_bytes())
    times = [frame.time_s for frame in frames(joined)]
    assert any(after < before for before, after in pairwise(times)), "else it shows nothing"
    assert len(times) == 2 * len([*frames(part)])
    assert len([*frames(joined, every_s=0.4)]) == 2 * len([*frames(part, every_s=0.4)])


def test_a_name_with_a_colon_is_no_address(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(clip, "12:30.mp4")
    assert len([*frames(Path("12:30.mp4"))]) == frame_count(Path("12:30.mp4")) == 5


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_last_picture_that_stays_is_no_damage(tmp_path: Path, suffix: str) -> None:
    """As a screen recording's that ends on a still screen."""
    path = tmp_path / f"still{suffix}"
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        packets = []
        for _ in range(10):
            packets += stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8)))
        packets += stream.encode(None)
        packets[-1].duration = round(4 / packets[-1].time_base)
        container.mux(packets)
    assert len([*frames(path)]) == 10


def _frames_until_damage(path: Path) -> tuple[list[Frame], str]:
    read: list[Frame] = []
    with pytest.raises(DamagedClip) as raised:
        for frame in frames(path):
            read.append(frame)
    return read, str(raised.value)


def test_a_clip_that_was_cut_off_gives_its_frames_and_then_says_so(tmp_path: Path) -> None:
    path = write_long_clip(tmp_path / "clip.mp4")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    read, sentence = _frames_until_damage(path)
    assert 20 < len(read) < 50
    assert "breaks off at" in sentence


def test_a_matroska_clip_says_in_a_tag_how_long_it_is(tmp_path: Path) -> None:
    path = write_long_clip(tmp_path / "clip.mkv")
    assert len([*frames(path)]) == 60
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    read, sentence = _frames_until_damage(path)
    assert 20 < len(read) < 50
    assert "breaks off at" in sentence
    assert "of 3.00 s; what comes before was read" in sentence


def test_a_clip_of_one_frame_a_second_is_whole(tmp_path: Path) -> None:
    views = [np.full((64, 64, 3), 10 * number, np.uint8) for number in range(6)]
    path = write_clip(tmp_path / "lapse.mp4", views, range(0, 6000, 1000))
    assert [frame.time_s for frame in frames(path)] == [0, 1, 2, 3, 4, 5]


def test_a_broken_packet_costs_its_own_frames_only(tmp_path: Path) -> None:
    path = write_long_clip(tmp_path / "clip.mp4")
    break_a_packet(path)
    read, sentence = _frames_until_damage(path)
    assert 45 < len(read) < 60
    assert read[-1].time_s == pytest.approx(2.95)
    assert re.search(r" is damaged in (1 place|\d+ places); frames are missing there, or smeared\.", sentence)


def test_a_frame_that_the_decoder_marks_as_damaged_is_left_out_and_named(tmp_path: Path) -> None:
    """It marks few: a hundred bytes are overwritten in one place after another until it does."""
    path = write_long_clip(tmp_path / "clip.mkv")
    whole = path.read_bytes()
    for place in range(len(whole) // 4, len(whole) * 3 // 4, len(whole) // 40):
        path.write_bytes(whole[:place] + np.random.default_rng(0).bytes(100) + whole[place + 100 :])
        marked = sum(frame.is_corrupt for frame in _decoded(path))
        if marked:
            break
    assert marked
    read, sentence = _frames_until_damage(path)
    assert len(read) == len(_decoded(path)) - marked
    assert f"is damaged in {marked} place" in sentence


def _decoded(path: Path) -> list[av.VideoFrame]:
    with av.open(path) as container:
        return list(container.decode(video=0))


@pytest.mark.parametrize("suffix", [".avi", ".mkv", ".mov"])
def test_times_grow_in_every_container(tmp_path: Path, suffix: str) -> None:
    """AVI knows no presentation times; with B-frames, what a decoder makes of them jumps back and forth."""
    path = tmp_path / f"clip{suffix}"
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": "3"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for level in range(20):
            picture = np.full((48, 64, 3), 10 * level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode(None))
    read = list(frames(path))
    assert np.diff([frame.time_s for frame in read]) == pytest.approx(np.full(19, 0.04), abs=2e-3)
    assert np.all(np.diff([frame.image_bgr.mean() for frame in read]) > 5), "pictures in order too"


def test_the_real_clips_are_whole(shared: Path) -> None:
    for path in sorted((shared / "media").glob("*.mp4")):
        count = frame_count(path)
        assert count is not None
        # An edit list may leave out a few frames that the header counts: no_face.mp4 shows 95 of 98.
        assert count - 4 < len(list(frames(path))) <= count


def test_a_file_named_twice_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    assert media_files([tmp_path / "a.jpg", tmp_path, tmp_path / "." / "a.jpg"]) == ([tmp_path / "a.jpg"], [])


def test_a_name_that_is_no_utf8_can_be_printed(tmp_path: Path) -> None:
    name = Path(os.fsdecode(os.fsencode(tmp_path / "a") + b"\xff.png"))
    Image.fromarray(_gradient()).save(name)
    (frame,) = frames(name)
    assert frame.source.encode("utf-8").endswith(rb"a\xff.png")


def test_folders_are_read_by_name_at_any_depth(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.PNG", "sub/c.mp4", "notes.txt"):
        (tmp_path / "media" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "media" / name).touch()
    found, refused = media_files([tmp_path / "media"])
    assert refused == []
    assert [path.relative_to(tmp_path / "media").as_posix() for path in found] == ["a.PNG", "b.jpg", "sub/c.mp4"]


def test_a_path_that_names_no_media_is_refused_alone_and_reported_among_others(tmp_path: Path) -> None:
    """As the shell gives them for folder/*: one text file must not keep the photos from being read."""
    photo = tmp_path / "photo.jpg"
    for file in (photo, tmp_path / "notes.txt"):
        file.touch()
    (tmp_path / "empty").mkdir()
    for path, sentence in [
        ("missing.jpg", "There is no file"),
        ("notes.txt", "neither a photo"),
        ("empty", "no photo"),
    ]:
        with pytest.raises(InputError, match=sentence):
            media_files([tmp_path / path])
        files, refused = media_files([tmp_path / path, photo])
        assert (files, len(refused)) == ([photo], 1)
        assert sentence in refused[0]


def _broken(path: Path, astronaut: Path, clip: Path) -> str:
    """Write the broken file that the name stands for; return what its sentence must say."""
    if path.name == "empty.jpg":
        path.touch()
        return "is empty"
    if path.name == "text.jpg":
        path.write_text("not a picture")
        return "is not a picture"
    if path.name == "text.mp4":
        path.write_text("not a clip")
        return "cannot be read as a clip"
    if path.suffix == ".mp4":
        path.write_bytes(clip.read_bytes()[:600])
        return "cannot be read as a clip"
    Image.open(astronaut).convert("RGB").save(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return "cannot be read to its end"


@pytest.mark.parametrize(
    "name", ["empty.jpg", "text.jpg", "text.mp4", "short.mp4", "short.jpg", "short.png", "short.webp"]
)
def test_a_broken_file_is_one_clear_sentence(tmp_path: Path, astronaut: Path, clip: Path, name: str) -> None:
    path = tmp_path / name
    sentence = _broken(path, astronaut, clip)
    with pytest.raises(InputError, match=sentence) as raised:
        list(frames(path))
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_begins_with_a_dot_is_nobodys_photo(tmp_path: Path) -> None:
    album = tmp_path / ".cache" / "album"  # a folder that is named is read, wherever it lies
    (album / ".thumbnails").mkdir(parents=True)
    for name in ("a.jpg", "._a.jpg", ".b.41.part.mp4", ".thumbnails/a.jpg"):
        (album / name).touch()
    assert media_files([album]) == ([album / "a.jpg"], [])
    assert media_files([album / "._a.jpg"]) == ([album / "._a.jpg"], [])


def test_a_title_in_another_encoding_is_no_reason_to_stop(astronaut: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(path, "w") as container:
        container.metadata["title"] = "Caf# visit"
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="bgr24")))
        container.mux(stream.encode(None))
    path.write_bytes(path.read_bytes().replace(b"Caf# visit", b"Caf\xe9 visit"))
    assert frame_count(path) is None
    assert len(list(frames(path))) == 3


def test_what_one_may_not_open_is_refused_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As another user's folder is; simulated, since root may open everything."""
    for name in ("a.png", "locked/b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(_gradient()).save(tmp_path / name)
    stat = Path.stat

    def locked(self: Path, **how: bool) -> os.stat_result:
        if self.name == "b.png":
            raise PermissionError(13, "Permission denied", str(self))
        return stat(self, **how)

    monkeypatch.setattr(Path, "stat", locked)
    mine, others = tmp_path / "a.png", tmp_path / "locked" / "b.png"
    assert media_files([tmp_path]) == ([mine, others], [])
    assert media_files([mine, others]) == ([mine, others], [])
    assert len(list(frames(mine))) == 1
    with pytest.raises(InputError, match="There is no permission to open .*b.png; ask its owner"):
        list(frames(others))
    summary = Reader(detector="haar").read_into([], [mine, others])
    assert (summary.files, len(summary.failures)) == (1, 1)
    assert "null" in Reader(detector="haar").settings([others])


def test_a_folder_that_one_may_not_open_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated, since root may open everything."""
    for name in ("a.png", "locked/b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(_gradient()).save(tmp_path / name)
    scandir = os.scandir

    def locked(path: str) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    files, (sentence,) = media_files([tmp_path])
    assert files == [tmp_path / "a.png"]
    assert sentence == f"There is no permission to open {tmp_path / 'locked'}; ask its owner for it."


@pytest.mark.parametrize("name", ["photo.jpg/x.jpg", "x" * 300 + ".jpg", "a\0b.jpg", "loop.jpg"])
def test_a_path_that_no_file_can_have_is_refused_in_a_sentence(tmp_path: Path, name: str) -> None:
    """So that a dataset or a folder with one is read all the same."""
    Image.fromarray(_gradient()).save(tmp_path / "photo.jpg")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    for read in (read_photo, photo_size):
        with pytest.raises(InputError, match="check the spelling"):
            read(tmp_path / name)
    files, refused = media_files([tmp_path / "photo.jpg", tmp_path / name])
    assert files == [tmp_path / "photo.jpg"]
    assert len(refused) == 1
