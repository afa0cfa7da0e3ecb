from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mien.errors import DetectorError
from mien.reading.detectors import DETECTORS, make_detector
from mien.reading.sources import frames
from mien.weights import add


def _image(path: Path) -> np.ndarray:
    return next(iter(frames(path))).image_bgr


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Intersection over union of two x, y, w, h boxes."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


@pytest.fixture(params=list(DETECTORS))
def detector(request: pytest.FixtureRequest):  # type: ignore[no-untyped-def]
    if request.param == "yunet":
        add(request.getfixturevalue("shared") / "models" / "face_detection_yunet_2023mar.onnx")
    return make_detector(request.param)


def test_the_astronauts_face_is_found_once(detector, astronaut: Path) -> None:  # type: ignore[no-untyped-def]
    (found,) = detector.find(_image(astronaut))
    assert _overlap(found.box_xywh_px, (177, 66, 97, 97)) > 0.5
    assert _overlap(found.crop_xywh_px, (175, 65, 101, 101)) > 0.6
    assert found.crop_xywh_px[2] == found.crop_xywh_px[3]


@pytest.mark.parametrize("scale", [0.5, 4.0])
def test_boxes_are_in_pixels_of_the_whole_image(detector, astronaut: Path, scale: float) -> None:  # type: ignore[no-untyped-def]
    image = cv2.resize(_image(astronaut), None, fx=scale, fy=scale)
    (found,) = detector.find(image)
    assert _overlap(tuple(v / scale for v in found.box_xywh_px), (177, 66, 97, 97)) > 0.5


def test_no_face_is_an_empty_list(detector) -> None:  # type: ignore[no-untyped-def]
    assert detector.find(np.full((300, 400, 3), 90, np.uint8)) == []


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (20, 31), (1, 3000), (5000, 2), (33, 900)])
def test_pictures_of_odd_sizes_are_no_accident(detector, shape: tuple[int, int]) -> None:  # type: ignore[no-untyped-def]
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    for found in detector.find(noise):
        assert np.isfinite([*found.box_xywh_px, *found.crop_xywh_px]).all()


def test_both_detectors_show_the_network_the_same_part_of_a_face(shared: Path, astronaut: Path) -> None:
    add(shared / "models" / "face_detection_yunet_2023mar.onnx")
    image = _image(astronaut)
    crops = [make_detector(name).find(image)[0].crop_xywh_px for name in DETECTORS]
    assert _overlap(crops[0], crops[1]) > 0.75


def test_auto_is_yunet_where_it_is_at_hand_and_haar_elsewhere(shared: Path) -> None:
    assert make_detector().name == "haar"
    add(shared / "models" / "face_detection_yunet_2023mar.onnx")
    assert make_detector().name == "yunet"


def test_an_unknown_detector_lists_the_known_ones() -> None:
    with pytest.raises(DetectorError, match="no detector 'harr'; did you mean haar"):
        make_detector("harr")


def test_four_of_five_by_haar_and_all_five_by_yunet(shared: Path) -> None:
    group = _image(shared / "media" / "multi_face.jpg")
    assert len(make_detector("haar").find(group)) >= 4
    add(shared / "models" / "face_detection_yunet_2023mar.onnx")
    assert len(make_detector("yunet").find(group)) == 5


def test_the_crop_of_a_detected_face_lies_as_fer2013_has_it(shared: Path, fer2013_folder: Path) -> None:
    """On real FER2013 faces set into a larger picture, the crops that detectors give back are FER2013's own squares."""
    from mien.data.faceset import open_faceset

    add(shared / "models" / "face_detection_yunet_2023mar.onnx")
    faces = open_faceset(fer2013_folder).split("PublicTest").faces_u8[:150]
    for name in DETECTORS:
        detector, sides, centres = make_detector(name), [], []
        for face in faces:
            large = np.asarray(Image.fromarray(face).resize((192, 192), Image.Resampling.BICUBIC))
            canvas = np.pad(large, 96, mode="edge")
            found = detector.find(np.repeat(canvas[:, :, None], 3, axis=2))
            if len(found) == 1:
                x, y, side, _ = found[0].crop_xywh_px
                sides.append(side / 192)
                centres.append(((x + side / 2) / 192 - 1, (y + side / 2) / 192 - 1))
        assert len(sides) > 75, name
        assert np.median(sides) == pytest.approx(1, abs=0.08), name
        assert np.median(centres, axis=0) == pytest.approx([0, 0], abs=0.04), name
