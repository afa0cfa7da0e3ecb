"""How fast and how well clips and folders are read.

    python benchmarks/reading.py quality MEDIA_FOLDER [DETECTOR ...]   # recall, tracks, switches; no timing
    python benchmarks/reading.py speed MEDIA_FOLDER [PHOTOS] # seconds: on a quiet machine, all in one run
    python benchmarks/reading.py alignment FACESET           # what fitting crops to eyes and mouth is worth
    python benchmarks/reading.py memory MEDIA_FOLDER         # peak memory of one clip and of twelve
    python benchmarks/reading.py pictures MEDIA_FOLDER OUT   # annotated frames of each clip, small, to be looked at

MEDIA_FOLDER holds clips: WolfgangLanger_Pexels.mp4 and single_face.mp4 (one face in each frame), no_face.mp4.
PHOTOS is a photo that the folder of 1,000 is made from; the astronaut of scikit-image by default.
"""

import importlib.util
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from mien.classifier import Classifier
from mien.data.faceset import open_faceset
from mien.preprocess import crop_face
from mien.reading.detectors import DETECTORS, Detection, make_detector, square
from mien.reading.face_reading import FrameReading
from mien.reading.finder import Finder
from mien.reading.reader import Reader
from mien.reading.sinks.drawing import draw_faces
from mien.reading.sinks.tables import table_sink
from mien.reading.smoothing import smoothed
from mien.reading.sources import Frame, frames
from mien.reading.tracks import Tracker

ONE_FACE = ("WolfgangLanger_Pexels.mp4", "single_face.mp4")
NO_FACE = "no_face.mp4"
RUNS = 3
CROSSINGS = ("cross", "cross, hidden 0.3 s", "pass side by side", "meet and turn back", "cross at 5 frames a second")
console = Console(width=120)


def detectors_at_hand() -> list[str]:
    return [name for name, entry in DETECTORS.items() if entry.at_hand()]


def switches(readings: list[FrameReading]) -> int:
    """Return how often the likeliest expression changes from one frame of a track to its next."""
    shown: dict[int | None, list[str]] = {}
    for reading in readings:
        for face in reading.faces:
            shown.setdefault(face.track, []).append(face.dominant_emotion)
    return sum(a != b for track in shown.values() for a, b in pairwise(track))


def quality(media: Path, detectors: list[str]) -> None:
    """Print what is found in the labelled clips, with how many tracks, and how steady it is."""
    columns = ("clip", "detector", "searched whole", "frames", "with a face", "faces", "tracks")
    columns = (*columns, "switches", "with 0.5 s", "drop")
    table = Table(*columns, title="one face (or none) in each frame; a switch is a change of the likeliest expression")
    for detector in detectors:
        for every_s in (0.0, 0.5):
            totals = [0, 0]
            for clip in (*ONE_FACE, NO_FACE):
                reader = Reader(detector=detector, smooth_s=0, search_every_s=every_s)
                raw = list(reader.readings(frames(media / clip)))
                steady = [reading for _, reading in smoothed(iter(raw), 0.5)]
                counts = [switches([reading for _, reading in raw]), switches(steady)]
                totals = [total + count for total, count in zip(totals, counts, strict=True)]
                found = [len(reading.faces) for reading in steady]
                tracks = len({face.track for reading in steady for face in reading.faces})
                row = (
                    clip,
                    detector,
                    f"each {every_s} s" if every_s else "each frame",
                    len(steady),
                    sum(map(bool, found)),
                    sum(found),
                    tracks,
                )
                table.add_row(*map(str, (*row, *counts)), "")
            drop = f"{1 - totals[1] / totals[0]:.0%}" if totals[0] else ""
            table.add_row("all", detector, "", "", "", "", "", *map(str, totals), drop)
    console.print(table)
    crossings()
    delay()
    borders_and_sizes()


def crossings() -> None:
    """Print how many synthetic faces keep their number: paths that cross, with what a detector does to them."""
    table = Table("two faces", "runs", "both keep their number", title="Tracks: 25 frames a second, 3 s, seeds 0-199")
    for name in CROSSINGS:
        kept = sum(_keeps(name, seed) for seed in range(200))
        table.add_row(name, "200", f"{kept} ({kept / 200:.0%})")
    console.print(table)


def _keeps(name: str, seed: int) -> bool:
    random = np.random.default_rng(seed)
    tracker, rate = Tracker(), 5 if "5 frames" in name else 25
    side, speed, lift = random.uniform(40, 90), random.uniform(80, 220), random.uniform(0, 30)
    numbers: list[dict[int, int]] = []
    for index in range(3 * rate + 1):
        time_s = index / rate
        way = speed * (time_s - 1.5)
        if name == "meet and turn back":
            way = -abs(way) - 0.5 * side
        first, second = (320 + way, 180.0), (320 - way, 180 + lift)
        if name == "pass side by side":
            second = (320 + 0.9 * way, 180 + 1.1 * side)
        hidden = name == "cross, hidden 0.3 s" and abs(time_s - 1.5) < 0.15
        hidden |= name.startswith("cross") and abs(first[0] - second[0]) < 0.4 * side
        faces = []
        for x, y in (first,) if hidden else (first, second):
            dx, dy, size = random.normal(0, 0.03 * side, 2).tolist() + [side * random.normal(1, 0.04)]
            box = square(x + dx, y + dy, size)
            faces.append(Detection(box, box, 1.0))
        tracks = {id(face.detection): face.track for face in tracker.update(faces, time_s)}
        numbers.append({which: tracks[id(face)] for which, face in enumerate(faces)})
    return numbers[0] == numbers[-1] == {0: 0, 1: 1} or (
        numbers[0] == numbers[-1] and len(set(numbers[0].values())) == 2
    )


def delay() -> None:
    """Print when a true change of a synthetic track is shown: 0.4 s after it at most."""
    from mien.reading.face_reading import FaceReading

    random, late = np.random.default_rng(0), []
    for _ in range(200):
        change, times = random.uniform(2, 3), np.sort(random.uniform(0, 5, 125))
        rows = []
        for time_s in times.tolist():
            happy = float(np.clip((0.2 if time_s < change else 0.8) + random.normal(0, 0.15), 0.01, 0.99))
            face = FaceReading("", 0, time_s, 0, (0, 0, 9, 9), 1, ("happy", "sad"), (happy, 1 - happy), 0, 0)
            rows.append((Frame(np.zeros((2, 2, 3), np.uint8), "", 0, time_s), FrameReading("", 0, time_s, (face,))))
        happy_at = [r.time_s or 0.0 for _, r in smoothed(iter(rows), 0.5) if r.faces[0].dominant_emotion == "happy"]
        late.append(next(t for t in happy_at if t > change - 0.5) - change)
    console.print(
        f"A true change between two expressions, 200 noisy tracks at irregular times: shown {np.median(late):+.2f} s "
        f"after it (median; {min(late):+.2f} to {max(late):+.2f})"
    )


def borders_and_sizes() -> None:
    """Print which faces are found: the astronaut's, scaled, turned, and cut off by the border."""
    spec = importlib.util.find_spec("skimage")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    picture = next(iter(frames(Path(spec.submodule_search_locations[0]) / "data" / "astronaut.png"))).image_bgr
    cases: dict[str, np.ndarray] = {}
    for side in (24, 32, 48, 97, 300):
        cases[f"{side} px"] = cv2.resize(picture, None, fx=side / 97, fy=side / 97, interpolation=cv2.INTER_AREA)
    for angle in (10, 20, 30, 45):
        turn = cv2.getRotationMatrix2D((226, 115), angle, 1)
        cases[f"{angle}°"] = cv2.warpAffine(picture, turn, (512, 512), borderMode=cv2.BORDER_REPLICATE)
    for share in (10, 25, 40):
        cases[f"{share} % cut off"] = picture[:, 178 + share * 97 // 100 :]
    table = Table("detector", *cases, title="Is the astronaut's face found?")
    for name in detectors_at_hand():
        detector = make_detector(name)
        table.add_row(
            name, *("yes" if any(face.sure for face in detector.find(image)) else "no" for image in cases.values())
        )
    console.print(table)


# YuNet's box as shares of a FER2013 crop: .77 wide, 1.02 high, .015 above its centre (measured on 1,500 PublicTest
# faces); the square to take where there are no landmarks.
BOX_AREA_SHARE, BOX_SHIFT_Y = 0.77 * 1.02, 0.015


def alignment(faceset: Path) -> None:
    """Print the accuracy on turned PublicTest faces: crops from YuNet's box, and fitted to eyes and mouth."""
    test = open_faceset(faceset).split("PublicTest")
    faces, labels = np.asarray(test.faces_u8[::4]), np.asarray(test.labels[::4])
    detector, classifier = make_detector("yunet"), Classifier()
    random, spec = np.random.default_rng(0), classifier.card.input
    table = Table("turned by", "n", "box", "eyes and mouth", "FER2013's crop", title="PublicTest, found once by YuNet")
    for angle in (0, 15, 30, 45):
        crops: list[list[np.ndarray]] = []
        right: list[int] = []
        for face, label in zip(faces, labels, strict=True):
            canvas = np.pad(cv2.resize(face, (192, 192), interpolation=cv2.INTER_CUBIC), 96, mode="edge")
            turn = cv2.getRotationMatrix2D((192, 192), angle * random.choice([-1, 1]), 1)
            canvas = cv2.warpAffine(canvas, turn, (384, 384), borderMode=cv2.BORDER_REPLICATE)
            image = np.repeat(canvas[:, :, None], 3, axis=2)
            found = [each for each in detector.find(image) if each.sure]
            if len(found) != 1:
                continue
            x, y, w, h = found[0].box_xywh_px
            side = (w * h / BOX_AREA_SHARE) ** 0.5
            box = square(x + w / 2, y + h / 2 + BOX_SHIFT_Y * side, side)
            fitted = crop_face(image, found[0].crop_xywh_px, spec, tilt_deg=found[0].tilt_deg)
            crops.append([crop_face(image, box, spec), fitted, face])
            right.append(int(label))
        shares = [
            float((classifier.probabilities(np.array(kind)).argmax(axis=1) == right).mean())
            for kind in zip(*crops, strict=True)
        ]
        table.add_row(f"{angle}°", str(len(right)), *(f"{share:.3f}" for share in shares))
    console.print(table)


def speed(media: Path, photo: Path) -> None:
    """Print times; everything in one run."""
    clip = media / ONE_FACE[0]
    pictures = list(frames(clip))
    length_s = pictures[-1].time_s or 0.0
    table = Table("detector", "median s", "min", "max", "× real time", title=f"{clip.name}, {os.cpu_count()} cores")
    for detector in detectors_at_hand():
        reader = Reader(detector=detector)
        took = [_seconds(lambda reader=reader: [None for _ in reader.stream(clip)]) for _ in range(RUNS + 1)][1:]
        row = (statistics.median(took), min(took), max(took), length_s / statistics.median(took))
        table.add_row(detector, *(f"{value:.2f}" for value in row))
    console.print(table)
    _stages(clip, pictures)
    _one_face(pictures[0])
    _folder(photo)


def _stages(clip: Path, pictures: list[Frame]) -> None:
    table = Table("stage, alone", "ms a frame", title="Where the time goes")
    count = len(pictures)
    table.add_row("decode", f"{1000 * _seconds(lambda: [None for _ in frames(clip)]) / count:.2f}")
    for name in detectors_at_hand():
        for every_s in (0.0, 0.5):
            finder = Finder(make_detector(name), every_s=every_s)
            took = 1000 * _seconds(lambda finder=finder: [finder.find(frame) for frame in pictures]) / count
            table.add_row(f"find, {name}, whole frame each {every_s} s", f"{took:.2f}")
    reader = Reader()
    finder = reader.finder()
    found = [finder.find(frame) for frame in pictures]
    took = _seconds(lambda: [reader.classify(found[i : i + 8]) for i in range(0, count, 8)])
    table.add_row("classify, batches of 8", f"{1000 * took / count:.2f}")
    readings = [(each.frame, reading) for each, reading in zip(found, reader.classify(found), strict=True)]
    table.add_row("smooth", f"{1000 * _seconds(lambda: list(smoothed(iter(readings), 0.5))) / count:.2f}")
    drawn = _seconds(lambda: [draw_faces(frame.image_bgr, reading.faces) for frame, reading in readings])
    table.add_row("draw", f"{1000 * drawn / count:.2f}")
    with tempfile.TemporaryDirectory() as folder:
        with table_sink(Path(folder) / "x.parquet", reader.classifier.card.labels) as sink:
            wrote = _seconds(lambda: [sink.write(frame, reading) for frame, reading in readings])
        table.add_row("write a Parquet row", f"{1000 * wrote / count:.2f}")
    console.print(table)


def _one_face(frame: Frame) -> None:
    classifier = Classifier(threads=1)
    height, width = frame.image_bgr.shape[:2]
    face = crop_face(frame.image_bgr, square(width / 2, height / 2, height / 2), classifier.card.input)[None]
    classifier.probabilities(face)
    took = [1000 * _seconds(lambda: classifier.probabilities(face)) for _ in range(300)]
    console.print(f"one face, one thread, batch 1: {statistics.median(took):.2f} ms (median of 300)")


def memory(media: Path) -> None:
    """Print the peak memory of `mien read` on a clip, and on twelve copies of it in one reading."""
    table = Table("mien read --out x.parquet", "frames", "peak MB")
    with tempfile.TemporaryDirectory() as folder:
        for copies in (1, 12):
            clips = [str(Path(folder) / f"{number}.mp4") for number in range(copies)]
            for clip in clips:
                shutil.copy(media / ONE_FACE[1], clip)
            out = str(Path(folder) / "x.parquet")
            command = [sys.executable, "-m", "mien", "read", *clips, "--out", out]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            if status:
                raise SystemExit("mien read failed")
            table.add_row(f"{copies} clips", f"{pq.read_metadata(out).num_rows:,}", f"{usage.ru_maxrss / 1000:.0f}")
    console.print(table)


FOLDER = {
    "mien read FOLDER --out": "from mien.apps.cli.main import main; import sys; "
    "sys.argv = ['mien', 'read', {folder!r}, '--out', {folder!r} + '.csv']; main()",
    "mien.read in a loop": "import mien, sys\nfrom pathlib import Path\n"
    "for path in sorted(Path({folder!r}).iterdir()): mien.read(path)",
    "Reader.read in a loop": "import mien, sys\nfrom pathlib import Path\nreader = mien.Reader()\n"
    "for path in sorted(Path({folder!r}).iterdir()): reader.read(path)",
}


def _folder(photo: Path) -> None:
    table = Table("1,000 photos", "s", "photos/s")
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "photos"
        folder.mkdir()
        image = next(iter(frames(photo))).image_bgr
        cv2.imwrite(str(folder / "0000.jpg"), image)
        for number in range(1, 1000):
            shutil.copy(folder / "0000.jpg", folder / f"{number:04d}.jpg")
        for name, code in FOLDER.items():
            process_code = code.format(folder=str(folder))
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", process_code], stdout=subprocess.DEVNULL, check=True)
            took = time.perf_counter() - started
            table.add_row(name, f"{took:.1f}", f"{1000 / took:.1f}")
    console.print(table)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def pictures(media: Path, out: Path) -> None:
    """Write a strip of four annotated frames of each clip."""
    out.mkdir(exist_ok=True)  # OpenCV does not say that it could not write
    for clip in (*ONE_FACE, NO_FACE):
        reader, wanted = Reader(), _four(media / clip)
        strip = [
            cv2.resize(draw_faces(frame.image_bgr, reading.faces), (480, 270), interpolation=cv2.INTER_AREA)
            for frame, reading in reader.readings(frames(media / clip))
            if reading.frame in wanted
        ]
        cv2.imwrite(str(out / f"{Path(clip).stem}.jpg"), np.vstack([np.hstack(strip[:2]), np.hstack(strip[2:4])]))


def _four(clip: Path) -> list[int]:
    count = sum(1 for _ in frames(clip))
    return [round(share * (count - 1)) for share in (0.05, 0.35, 0.65, 0.95)]


if __name__ == "__main__":
    commands = Counter(sys.argv[1:2])
    if commands["quality"]:
        quality(Path(sys.argv[2]), sys.argv[3:] or detectors_at_hand())
    elif commands["speed"]:
        found = importlib.util.find_spec("skimage")
        assert found is not None
        assert found.submodule_search_locations is not None
        sample = Path(found.submodule_search_locations[0]) / "data" / "astronaut.png"
        speed(Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else sample)
    elif commands["alignment"]:
        alignment(Path(sys.argv[2]))
    elif commands["memory"]:
        memory(Path(sys.argv[2]))
    elif commands["pictures"]:
        pictures(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        raise SystemExit(__doc__)
