"""`mien detectors`: the face detectors, which are at hand, and how long each takes here."""

import statistics
import time
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from mien.apps.cli import show
from mien.errors import MienError
from mien.weights import at_hand

if TYPE_CHECKING:
    from mien.reading.detectors import FaceDetector

RUNS = 5


def detectors() -> None:
    """List the face detectors: at hand or not, size, licence, ms on a 640x360 frame on this machine."""
    from mien.reading.detectors import DETECTORS, make_detector

    columns = ("name", "at hand", "finds", "size", "licence", "ms")
    table = Table(*columns, caption="ms: a 640x360 frame on this machine, median of 5")
    for name, entry in DETECTORS.items():
        try:
            ready = entry.at_hand()
            took = f"{_median_ms(make_detector(name, offline=True)):.0f}" if ready else ""
            table.add_row(name, "yes" if ready else entry.get, entry.finds, entry.size, entry.licence, took)
        except MienError as error:
            table.add_row(name, str(error), entry.finds, entry.size, entry.licence, "")
    show.out.print(table)
    chosen = "yunet" if at_hand("yunet") else "haar; YuNet finds more faces: mien weights fetch yunet"
    show.out.print(f"auto is {chosen}", soft_wrap=True)


def soft_frame() -> NDArray[np.uint8]:
    """Return a frame of soft colours, (360, 640, 3).

    Soft, because a cascade stops early where nothing is: of sharp noise Haar takes 258 ms of processor time, of frames
    of the sample clips and the group photo 33 to 105, of this one 68 (medians of 5, one thread).
    """
    import cv2

    colours = np.random.default_rng(0).integers(0, 256, (4, 7, 3), np.uint8)
    return np.asarray(cv2.resize(colours, (640, 360), interpolation=cv2.INTER_LINEAR), np.uint8)


def _median_ms(detector: "FaceDetector") -> float:
    """Return how long a detector takes for a frame, after a first time that is not counted."""
    frame = soft_frame()
    took = []
    for _ in range(RUNS + 1):
        started = time.perf_counter()
        detector.find(frame)
        took.append(time.perf_counter() - started)
    return 1000 * statistics.median(took[1:])
