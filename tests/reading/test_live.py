import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mien.errors import InputError
from mien.labels import EXPRESSIONS, UNSURE
from mien.reading.face_reading import FaceReading, FrameReading
from mien.reading.finder import SEARCH_EVERY_S
from mien.reading.live import LiveReader, Newest, _paced, live
from mien.reading.reader import Reader
from mien.reading.sinks.drawing import COLOURS
from mien.reading.snaps import SnapRule, Snaps
from mien.reading.sources import Frame, frames

BLANK = np.zeros((48, 64, 3), np.uint8)
Mien = Callable[..., tuple[int, str, str]]


def test_only_the_newest_frame_is_taken_and_the_others_are_counted() -> None:
    go_on = threading.Event()

    def source() -> Iterator[Frame]:
        yield Frame(BLANK, index=0, time_s=0.0)
        go_on.wait(5)
        yield from (Frame(BLANK, index=number, time_s=float(number)) for number in range(1, 6))

    with Newest(source, reconnects=False) as newest:
        taken = iter(newest)
        assert next(taken).index == 0
        go_on.set()
        newest._thread.join(5)  # five frames come while the first is being read
        assert [frame.index for frame in taken] == [5]
        assert newest.dropped == 4


def test_a_stream_that_breaks_is_opened_again_after_longer_and_longer_waits() -> None:
    tries, waits = [0], list[float]()

    def source() -> Iterator[Frame]:
        tries[0] += 1
        if tries[0] in (2, 3):
            raise InputError("no network")
        if tries[0] < 6:
            yield Frame(BLANK, index=tries[0], time_s=0.0)

    said = list[str]()
    newest = Newest(
        source,
        reconnects=True,
        on_note=said.append,
        wait=lambda closed, s: waits.append(s) or len(waits) < 6 or closed.set(),
    )
    with newest:
        newest._thread.join(5)
    assert [sentence.removesuffix(" Trying again, until Ctrl-C.") for sentence in said] == [
        *("The stream has ended.", "no network", "It is back."),
        *("The stream has ended.", "It is back.", "The stream has ended."),
    ], "each thing once"
    assert waits[:5] == [1, 2, 4, 1, 1], "a picture resets the wait"
    assert tries[0] == 6


def test_a_stream_over_the_network_is_read_and_read_again_when_it_ends(served: tuple[Path, str], clip: Path) -> None:
    folder, address = served
    (folder / "clip.mp4").write_bytes(clip.read_bytes())
    opened = live(f"{address}/clip.mp4", clock=lambda: 83412.5)
    opened._wait = lambda closed, seconds: time.sleep(0.01)
    with opened:
        indices = []
        for frame in opened:
            assert (frame.time_s, frame.image_bgr.shape) == (0, (320, 320, 3)), "its time counts from its beginning"
            indices.append(frame.index)
            if len(indices) > 1 and indices[-1] <= indices[-2]:
                break
        else:
            pytest.fail("it was not opened again")
    assert max(indices) <= 4, "it began anew"


def test_what_cannot_be_opened_at_all_is_an_error_at_once(served: tuple[Path, str]) -> None:
    with live(f"{served[1]}/nothing.mp4") as newest, pytest.raises(InputError, match="check the address"):
        list(newest)
    for number in ("99", "99999999999"):
        with live(number) as newest, pytest.raises(InputError, match=f"Camera {number} cannot be opened"):
            list(newest)


def test_a_clip_that_cannot_be_read_is_an_error_and_its_end_an_end(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_text("broken")
    with live(str(tmp_path / "broken.mp4")) as newest, pytest.raises(InputError, match="cannot be read as a clip"):
        list(newest)
    with live(str(clip)) as newest:
        read = list(newest)
    assert 1 <= len(read) <= 5
    assert len(read) + newest.dropped == 5
    with pytest.raises(InputError, match=r"no camera; give a number such as 0, an address such as rtsp://"):
        live("front door")


def test_a_clip_plays_at_its_own_speed(clip: Path) -> None:
    """Its last frame is due at 0.4 s; the clock here jumps so that only that much is waited for."""
    now = [0.0]
    slept: list[float] = []
    original, time.sleep = time.sleep, lambda s: (slept.append(s), now.__setitem__(0, now[0] + s))[0]
    try:
        with live(str(clip), clock=lambda: now[0]) as newest:
            newest._thread.join(5)
    finally:
        time.sleep = original
    assert sum(slept) == pytest.approx(0.4)


def test_a_clip_that_does_not_begin_at_0_begins_at_once() -> None:
    slept: list[float] = []
    clip = [Frame(np.zeros((8, 8, 3), np.uint8), index=number, time_s=60 + number) for number in range(3)]
    original, time.sleep = time.sleep, slept.append
    try:
        list(_paced(iter(clip), lambda: 7.0))
    finally:
        time.sleep = original
    assert slept == pytest.approx([0, 1, 2])


def test_joined_clips_whose_times_begin_anew_play_on_and_are_still_photographed() -> None:
    now, slept = [7.0], list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    clip = [Frame(BLANK, index=number, time_s=time_s) for number, time_s in enumerate((5.0, 6.0, 7.0, 0.0, 1.0, 2.0))]
    original, time.sleep = time.sleep, sleep
    try:
        list(_paced(iter(clip), lambda: now[0]))
    finally:
        time.sleep = original
    assert slept == pytest.approx([0, 1, 1, 0, 1, 1])
    rule = SnapRule.parse("all happy for 1s", EXPRESSIONS)
    shown = [rule.update(_reading(time_s, "happy")) for time_s in (59.5, 60.0, 0.0, 0.5, 1.0)]
    assert shown == [False, False, False, False, True]


def test_a_stream_without_a_picture_is_an_error() -> None:
    with Newest(lambda: iter(()), reconnects=True) as newest, pytest.raises(InputError, match="gives no picture"):
        next(iter(newest))


def test_live_readings_are_tracked(astronaut: Path) -> None:
    image = next(iter(frames(astronaut))).image_bgr
    reader = Reader()
    reads = LiveReader(reader)
    shown = [reads.read(Frame(image, "camera 0", number, number / 25)) for number in range(20)]
    assert [face.track for reading in shown for face in reading.faces] == [0] * 20
    assert shown[0].faces[0].expression == shown[-1].faces[0].expression == "happy"


class Told:
    """A reader whose face is at first neutral and then, from the 1 s on, happy."""

    smooth_s = 0.5

    def finder(self) -> "Told":
        return self

    def find(self, frame: Frame) -> Frame:
        return frame

    def classify(self, found: list[Frame]) -> list[FrameReading]:
        return [_reading(frame.time_s or 0.0, "happy" if (frame.time_s or 0) >= 1 else "neutral") for frame in found]


def test_what_is_live_is_averaged_and_half_the_window_late() -> None:
    reads = LiveReader(Told())  # type: ignore[arg-type]
    happy = [reads.read(Frame(BLANK, "camera 0", n, n / 50)).faces[0].probabilities[3] for n in range(100)]
    half = next(n for n, value in enumerate(happy) if value > 0.375) / 50
    assert half == pytest.approx(1.25, abs=0.05)
    assert len({round(value, 3) for value in happy}) > 8, "it rises bit by bit"


@pytest.mark.parametrize("apart_s", [0.26, 0.3, 0.49, 0.6])
def test_on_a_slow_machine_what_is_live_is_what_is_shown(apart_s: float) -> None:
    reads = LiveReader(Told())  # type: ignore[arg-type]
    happy = [reads.read(Frame(BLANK, "camera 0", n, n * apart_s)).faces[0].probabilities[3] for n in range(9)]
    assert [value > 0.5 for value in happy] == [n * apart_s >= 1 for n in range(9)]


def test_after_a_blink_of_the_detector_what_is_live_is_what_is_shown() -> None:
    class Blinks(Told):
        def classify(self, found: list[Frame]) -> list[FrameReading]:
            gone = [0.7 < (frame.time_s or 0) < 1.1 for frame in found]
            readings = zip(super().classify(found), gone, strict=True)
            return [replace(reading, faces=()) if away else reading for reading, away in readings]

    reads = LiveReader(Blinks())  # type: ignore[arg-type]
    shown = [reads.read(Frame(BLANK, "camera 0", n, n / 50)) for n in range(100)]
    back = [reading for reading in shown if reading.faces and (reading.time_s or 0) >= 1]
    assert back[0].time_s == pytest.approx(1.1)
    assert min(reading.faces[0].probabilities[3] for reading in back) > 0.5


def _reading(time_s: float, *expressions: str) -> FrameReading:
    def face(expression: str) -> FaceReading:
        sure = expression != UNSURE
        values = tuple(0.7 if name == (expression if sure else "happy") else 0.05 for name in EXPRESSIONS)
        return FaceReading("camera 0", 0, time_s, 0, (0, 0, 9, 9), 1.0, EXPRESSIONS, values, 0.5 if sure else 0.9, 0)

    return FrameReading("camera 0", 0, time_s, tuple(face(expression) for expression in expressions))


def _moments(rule: str, shows: list[tuple[str, ...]]) -> list[float]:
    parsed = SnapRule.parse(rule, EXPRESSIONS)
    return [n / 4 for n, expressions in enumerate(shows) if parsed.update(_reading(n / 4, *expressions))]


def test_what_was_shown_before_the_source_was_gone_counts_no_more() -> None:
    rule = SnapRule.parse("all happy for 1s", EXPRESSIONS)
    times_s = (0, 0.5, 30, 30.5, 31, 31.5, 90, 90.5, 91)
    assert [time_s for time_s in times_s if rule.update(_reading(time_s, "happy"))] == [31, 91]


def test_any_one_face_is_the_same_face_all_the_while() -> None:
    rule = SnapRule.parse("any happy for 1s", EXPRESSIONS)

    def taken(time_s: float, *tracks: int) -> bool:
        (happy,) = _reading(time_s, "happy").faces
        faces = tuple(replace(happy, track=track) for track in tracks)
        return rule.update(FrameReading("camera 0", 0, time_s, faces))

    assert [taken(n / 4, *([0] if n < 3 else [1])) for n in range(8)] == [False] * 7 + [True]
    assert [taken(n / 4, 1, 2) for n in range(8, 16)] == [False] * 8, "once, while it goes on"


def test_a_photo_is_taken_once_when_all_have_been_happy_for_a_second() -> None:
    both, one = ("happy", "happy"), ("happy", "sad")
    assert _moments("all happy for 1s", [one, *[both] * 10]) == [1.25]
    assert _moments("all happy for 1s", [*[both] * 4, one, *[both] * 5, one, *[both] * 5]) == [2.25, 3.75]
    assert _moments("all happy for 1s", [*[both] * 3, (), *[both] * 3]) == [], "nobody is not everybody"
    assert _moments("all happy for 1s", [("happy", UNSURE)] * 9) == []
    assert _moments("any sad for 0.5s", [one] * 9) == [0.5]


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [("smile", "is no rule for a photo"), ("all happi for 1s", "no expression 'happi'; did you mean happy")],
)
def test_a_rule_that_is_none_is_refused(rule: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        SnapRule.parse(rule, EXPRESSIONS)


def test_photos_are_numbered_on_and_blurred_if_asked(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    reading = FrameReading("camera 0", 0, 0.0, (), hidden_xywh_px=((0.0, 0.0, 160.0, 120.0),))
    first, second = (Snaps(tmp_path / "out", blur=blur).take(Frame(noise), reading) for blur in (False, True))
    assert (first.name, second.name) == ("snap-001.jpg", "snap-002.jpg")
    assert first.stat().st_size > 3 * second.stat().st_size, "the blurred one has no detail"


def test_photos_that_watch_takes_are_blurred_if_asked(mien: Mien, clip: Path, tmp_path: Path) -> None:
    rough = []
    for name, flags in (("sharp", []), ("hidden", ["--blur"])):
        out = tmp_path / name
        code, _, err = mien("watch", "--camera", clip, "--snap-when", "all happy for 0s", "--out", out, *flags)
        assert code == 0, err
        with Image.open(out / "snap-001.jpg") as picture:
            mouth = np.asarray(picture.convert("L"))[130:150, 143:183].astype(int)
        rough.append(float(np.abs(np.diff(mouth, axis=1)).mean()))
    assert rough[1] < 0.5 * rough[0]


def test_watch_says_what_changes_and_takes_the_photo(mien: Mien, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "photos"
    code, said, err = mien("watch", "--camera", clip, "--snap-when", "all happy for 0s", "--out", out)
    assert code == 0
    assert "#0 happy" in said
    assert "frames read" in err
    (photo,) = {path for path in out.iterdir() if path.name == "snap-001.jpg"}
    with Image.open(photo) as picture:
        assert picture.size == (320, 320)


def test_with_blur_every_frame_is_searched(
    mien: Mien, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else who comes in would be seen for half a second."""
    searched: list[float] = []

    class Noted(Reader):
        def __init__(self, **options: Any) -> None:
            searched.append(options["search_every_s"])
            super().__init__(**options)

    monkeypatch.setattr("mien.reading.reader.Reader", Noted)
    snap = ("--snap-when", "all sad for 9s", "--out", tmp_path)
    assert mien("watch", "--camera", clip, "--blur", *snap)[0] == mien("watch", "--camera", clip)[0] == 0
    assert searched == [0.0, SEARCH_EVERY_S]


def test_a_window_shows_the_drawn_frame_and_q_closes_it(
    mien: Mien, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import cv2

    shown: list[np.ndarray] = []
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "  GUI:                           QT5")
    monkeypatch.setattr(cv2, "imshow", lambda name, image: shown.append(image), raising=False)
    monkeypatch.setattr(cv2, "waitKey", lambda ms: ord("q"), raising=False)
    code, _, err = mien("watch", "--window", "--camera", clip)
    assert (code, len(shown)) == (0, 1)
    assert "1 frame read" in err
    happy = [int(COLOURS["happy"][place : place + 2], 16) for place in (5, 3, 1)]  # BGR
    assert (shown[0] == happy).all(axis=2).any()
    assert mien("watch", "--window", "--blur", "--camera", clip)[0] == 0
    sharp, hidden = (float(np.abs(np.diff(image[130:150, 143:183].astype(int), axis=1)).mean()) for image in shown)
    assert hidden < 0.5 * sharp


@pytest.mark.parametrize("reason", ["Not a directory", "no permission"])
def test_a_folder_that_cannot_take_photos_is_refused_before_a_frame_is_read(
    mien: Mien, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    """Root may write anywhere, so that permission is denied by hand."""
    folder = tmp_path
    if reason == "Not a directory":
        folder = clip / "photos"
    else:
        monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    code, out, err = mien("watch", "--camera", clip, "--snap-when", "all angry for 9s", "--out", folder)
    assert (code, out) == (2, "")
    assert reason in err
    assert "frames read" not in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--camera", "nowhere"], "nowhere is no camera"),
        (["--snap-when", "all happy for 1s"], "give both, or neither"),
        (["--blur"], "none is asked for; add --window or --snap-when"),
        (["--snap-when", "smile", "--out", "x"], "is no rule for a photo"),
        (["--smooth", "soon"], "--smooth soon is no duration"),
        (["--camera", "missing.mp4", "--snap-when", "any sad for 1s", "--out", "x"], "There is no file missing.mp4"),
        (["--window", "--snap-when", "any sad for 1s", "--out", "x"], "needs an OpenCV with windows"),
    ],
)
def test_watch_refuses_in_one_sentence(
    mien: Mien, arguments: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = mien("watch", *arguments)
    assert (code, out) == (2, "")
    assert sentence in err
    assert list(tmp_path.iterdir()) == []
