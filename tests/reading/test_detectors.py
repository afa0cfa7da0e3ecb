import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mien.errors import DetectorError, MissingExtraError
from mien.reading.detectors import DETECTORS, Detection, FaceDetector, make_detector, overlap
from mien.reading.sources import frames
from mien.weights import add


def _image(path: Path) -> np.ndarray:
    return next(iter(frames(path))).image_bgr


def _sure(detector: FaceDetector, image: np.ndarray) -> list[Detection]:
    return [face for face in detector.find(image) if face.sure]


@pytest.fixture(params=list(DETECTORS))
def detector(request: pytest.FixtureRequest):  # type: ignore[no-untyped-def]
    if request.param == "yunet":
        add(request.getfixturevalue("shared") / "models" / "face_detection_yunet_2023mar.onnx")
    return make_detector(request.param)


def test_the_astronauts_face_is_found_once(detector, astronaut: Path) -> None:  # type: ignore[no-untyped-def]
    (found,) = _sure(detector, _image(astronaut))
    assert overlap(found.box_xywh_px, (177, 66, 97, 97)) > 0.5
    assert overlap(found.crop_xywh_px, (175, 65, 101, 101)) > 0.6
    assert found.crop_xywh_px[2] == found.crop_xywh_px[3]


@pytest.mark.parametrize("scale", [0.5, 4.0])
def test_boxes_are_in_pixels_of_the_whole_image(detector, astronaut: Path, scale: float) -> None:  # type: ignore[no-untyped-def]
    if detector.name == "dlib" and scale < 1:
        pytest.skip("dlib sees no face below 80 pixels")
    image = cv2.resize(_image(astronaut), None, fx=scale, fy=scale)
    found = max(_sure(detector, image), key=lambda face: face.score)  # dlib has a weak false one
    assert overlap(tuple(v / scale for v in found.box_xywh_px), (177, 66, 97, 97)) > 0.5


def test_no_face_is_an_empty_list(detector) -> None:  # type: ignore[no-untyped-def]
    assert _sure(detector, np.full((300, 400, 3), 90, np.uint8)) == []


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (20, 31), (1, 3000), (5000, 2), (33, 900)])
def test_pictures_of_odd_sizes_are_no_accident(detector, shape: tuple[int, int]) -> None:  # type: ignore[no-untyped-def]
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    for found in detector.find(noise):
        assert np.isfinite([*found.box_xywh_px, *found.crop_xywh_px]).all()


def test_both_detectors_show_the_network_the_same_part_of_a_face(shared: Path, astronaut: Path) -> None:
    add(shared / "models" / "face_detection_yunet_2023mar.onnx")
    image = _image(astronaut)
    crops = {name: _sure(make_detector(name), image)[0].crop_xywh_px for name in DETECTORS}
    assert overlap(crops["haar"], crops["yunet"]) > 0.7
    assert overlap(crops["dlib"], crops["yunet"]) > 0.7


def test_auto_is_yunet_where_it_is_at_hand_and_haar_elsewhere(shared: Path) -> None:
    assert make_detector().name == "haar"
    add(shared / "models" / "face_detection_yunet_2023mar.onnx")
    assert make_detector().name == "yunet"


def test_dlib_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "mien.reading.detectors.dlib_hog", raising=False)
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(MissingExtraError, match=r"pip install -c constraints.txt '.\[dlib\]'"):
        make_detector("dlib")


def test_a_turned_head_is_shown_more_upright(shared: Path, astronaut: Path) -> None:
    """YuNet's landmarks turn less than the head does; on a face of 200 pixels, by more than a third of 30 degrees."""
    add(shared / "models" / "face_detection_yunet_2023mar.onnx")
    detector, image = make_detector("yunet"), _image(astronaut)

    def found(degrees: float) -> Detection:
        turn = cv2.getRotationMatrix2D((226, 115), degrees, 1)  # counter-clockwise
        turned = cv2.warpAffine(image, turn, (512, 512), borderMode=cv2.BORDER_REPLICATE)
        (face,) = _sure(detector, cv2.resize(turned[:256, 100:356], None, fx=2, fy=2))
        return face

    upright = found(0)
    for degrees in (-30, 30):
        assert 10 < (found(degrees).tilt_deg - upright.tilt_deg) * np.sign(-degrees) < 40
        assert found(degrees).crop_xywh_px[2] == pytest.approx(upright.crop_xywh_px[2], rel=0.15)


def test_an_unknown_detector_lists_the_known_ones() -> None:
    with pytest.raises(DetectorError, match="no detector 'harr'; did you mean haar"):
        make_detector("harr")


def test_all_five_are_found_once_by_haar_and_by_yunet(shared: Path) -> None:
    group = _image(shared / "media" / "multi_face.jpg")
    assert len(_sure(make_detector("haar"), group)) == 5
    add(shared / "models" / "face_detection_yunet_2023mar.onnx")
    assert len(_sure(make_detector("yunet"), group)) == 5


def test_the_crop_of_a_detected_face_lies_as_fer2013_has_it(shared: Path, fer2013_folder: Path) -> None:
    """On real FER2013 faces set into a larger picture, the crops that detectors give back are FER2013's own squares."""
    from mien.data.faceset import open_faceset

    add(shared / "models" / "face_detection_yunet_2023mar.onnx")
    faces = open_faceset(fer2013_folder).split("PublicTest").faces_u8[:60]
    for name in DETECTORS:
        detector, sides, centres = make_detector(name), [], []
        for face in faces:
            large = np.asarray(Image.fromarray(face).resize((192, 192), Image.Resampling.BICUBIC))
            canvas = np.pad(large, 96, mode="edge")
            found = _sure(detector, np.repeat(canvas[:, :, None], 3, axis=2))
            if len(found) == 1:
                x, y, side, _ = found[0].crop_xywh_px
                sides.append(side / 192)
                centres.append(((x + side / 2) / 192 - 1, (y + side / 2) / 192 - 1))
        assert len(sides) > 30, name
        assert np.median(sides) == pytest.approx(1, abs=0.08), name
        assert np.median(centres, axis=0) == pytest.approx([0, 0], abs=0.04), name
