"""mien: facial-expression recognition that is honest about how good it is.

    import mien
    for face in mien.read("photo.jpg"):
        print(face.expression, face.confidence, face.box_xywh_px)

Importing this loads neither torch nor onnxruntime: names are fetched when they are first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from mien.errors import MienError
    from mien.reading.face_reading import FaceReading, Faces, FrameReading
    from mien.reading.reader import Reader, Source

    __version__: str

__all__ = ["FaceReading", "Faces", "FrameReading", "MienError", "Reader", "read"]

_HOMES = {
    "FaceReading": "mien.reading.face_reading",
    "Faces": "mien.reading.face_reading",
    "FrameReading": "mien.reading.face_reading",
    "MienError": "mien.errors",
    "Reader": "mien.reading.reader",
}


def read(
    source: "Source",
    *,
    rgb: bool = False,
    model: "str | Path | None" = None,
    detector: str = "auto",
    largest: bool = False,
) -> "Faces":
    """Return every face of a photo, a clip or an image array: a list; no face is [].

    Opens the models anew at each call: make a `Reader` once to read many.

    Args:
        source: A path, an image (H, W, 3) uint8, or (H, W) uint8 grey, or a picture of Pillow's, which is turned
            upright by its EXIF flag as a file is: boxes are of the upright picture.
        rgb: The array's channels are red, green, blue; otherwise blue, green, red, as OpenCV has them.
        model: A bundled model's name, or the path of a model file; by default the bundled one that `mien models` names.
        detector: "auto", "haar", "yunet" or "dlib".
        largest: Read only the largest face of each frame.

    Raises:
        MienError: The file cannot be read, or there is no such model or detector; `mien.errors` has the tree.
    """
    from mien.reading.reader import Reader
    from mien.weights import DEFAULT_MODEL

    return Reader(model=DEFAULT_MODEL if model is None else model, detector=detector, largest=largest).read(
        source, rgb=rgb
    )


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("mien")
    if name not in _HOMES:
        raise AttributeError(f"module 'mien' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
