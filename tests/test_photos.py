from pathlib import Path

import pytest
from PIL import Image

from mien.errors import InputError
from mien.photos import photo_size, read_photo


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_from_the_header_is_that_of_the_upright_photo(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (60, 40)).save(tmp_path / "photo.jpg", exif=exif)
    height, width = read_photo(tmp_path / "photo.jpg").shape[:2]
    assert photo_size(tmp_path / "photo.jpg") == (width, height)


@pytest.mark.parametrize("function", [photo_size, read_photo])
def test_a_picture_too_large_to_be_safe_is_named(
    tmp_path: Path, function: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("L", (60, 40)).save(tmp_path / "photo.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(InputError, match="claims to have more pixels than is safe to open; scale it down"):
        function(tmp_path / "photo.png")  # type: ignore[operator]


@pytest.mark.parametrize("function", [photo_size, read_photo])
def test_what_is_no_photo_is_named(tmp_path: Path, function: object) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "empty.jpg").touch()
    for name, sentence in (("text", "is not a picture"), ("empty", "is empty"), ("missing", "There is no file")):
        with pytest.raises(InputError, match=sentence):
            function(tmp_path / f"{name}.jpg")  # type: ignore[operator]


def test_what_a_decoder_of_pillows_raises_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of AVIF does of a damaged header."""
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")

    def broken(*arguments: object) -> None:
        raise RuntimeError("Failed to decode image: Missing or empty image item")

    monkeypatch.setattr("mien.photos.upright_bgr", broken)
    with pytest.raises(InputError, match="cannot be read to its end .Failed to decode image"):
        read_photo(tmp_path / "a.png")
