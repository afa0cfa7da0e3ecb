"""`mien detectors`."""

import time
from collections.abc import Callable

import cv2
import numpy as np
from skimage.data import astronaut

from mien.apps.cli.detectors import soft_frame
from mien.reading.detectors import make_detector

Mien = Callable[..., tuple[int, str, str]]


def test_detectors_lists_each_with_its_time_here(mien: Mien) -> None:
    code, out, _ = mien("detectors")
    assert code == 0
    rows = {
        line.split("│")[1].strip(): [cell.strip() for cell in line.split("│")[2:-1]]
        for line in out.split("\n")
        if "│" in line
    }
    assert rows["haar"][0] == "yes"
    assert float(rows["haar"][-1]) > 0
    assert "auto is haar; YuNet finds more faces: mien weights fetch yunet" in out


def test_the_frame_that_detectors_are_timed_on_costs_what_a_photo_costs() -> None:
    """Of sharp noise Haar takes two and a half times as long as of this photo. Least of three, in processor time."""
    photo = cv2.resize(np.ascontiguousarray(astronaut()[:288, :, ::-1]), (640, 360))
    detector = make_detector("haar")

    def least_s(image: np.ndarray) -> float:
        took = []
        for _ in range(3):
            began = time.process_time()
            detector.find(image)
            took.append(time.process_time() - began)
        return min(took)

    assert 0.3 < least_s(soft_frame()) / least_s(photo) < 1.7
