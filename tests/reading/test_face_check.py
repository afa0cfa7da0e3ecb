from pathlib import Path

import numpy as np
import pytest

from mien.data.faceset import open_faceset
from mien.reading.detectors import Detection, square
from mien.reading.face_check import MODEL, Checked, FaceCheck
from mien.reading.sources import frames


def test_the_check_is_small() -> None:
    assert MODEL.stat().st_size < 100_000


def test_faces_pass_and_what_the_voters_called_no_face_mostly_does_not(fer2013_folder: Path) -> None:
    test = open_faceset(fer2013_folder).split("PublicTest")
    assert test.votes is not None
    none = test.votes[:, test.vote_names.index("NF")] >= 5
    passes = FaceCheck().passes(np.asarray(test.faces_u8))
    assert passes[~none].mean() >= 0.98
    assert passes[none].mean() < 0.5


@pytest.mark.parametrize("seed", range(3))
def test_noise_and_flat_walls_are_no_faces(seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (40, 48, 48), np.uint8)
    assert FaceCheck().passes(noise).mean() < 0.05
    assert not FaceCheck().passes(np.full((1, 48, 48), 40 * seed, np.uint8)).any()
    assert FaceCheck().passes(np.empty((0, 48, 48), np.uint8)).shape == (0,)


def test_what_the_check_refuses_is_found_but_not_sure(astronaut: Path) -> None:
    class Everywhere:
        name = "everywhere"

        def find(self, image_bgr: np.ndarray, *, smallest: float = 0.03) -> list[Detection]:
            boxes = (square(226, 116, 101), square(440, 60, 100))  # the face; a piece of flag
            return [Detection(box, box, 1.0) for box in boxes]

    image = next(iter(frames(astronaut))).image_bgr
    assert [face.sure for face in Checked(Everywhere()).find(image)] == [True, False]
