"""A photo on disk -> upright pixels; reading and the datasets made of picture files share it.

In: the path of a JPEG, PNG, WebP or the like.  Out: (H, W, 3) uint8, BGR.
"""

import os
import struct
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

UPRIGHT = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}  # EXIF's orientation -> what Pillow calls undoing it
_LOCK = threading.Lock()
BROKEN = (OSError, SyntaxError, ValueError, RuntimeError, struct.error)  # what Pillow raises for broken files
PHOTO_SUFFIXES = frozenset({".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})


def check_file(path: Path) -> None:
    """Raise InputError unless `path` is a file that holds something and may be read."""
    try:
        there, size_bytes = path.is_file(), path.stat().st_size
    except FileNotFoundError:
        there = False
    except PermissionError:
        raise InputError(f"There is no permission to open {path}; ask its owner for it.") from None
    except (OSError, ValueError) as error:  # a file taken for a folder, a link to itself, a name that none can have
        raise InputError(f"{path} cannot be opened ({error}); check the spelling.") from None
    if not there:
        raise InputError(f"There is no file {path}; check the spelling.")
    if not os.access(path, os.R_OK):
        raise InputError(f"There is no permission to open {path}; ask its owner for it.")
    if size_bytes == 0:
        raise InputError(f"{path} is empty (0 bytes); copy or download it again.")


def read_photo(path: Path) -> NDArray[np.uint8]:
    """Return (H, W, 3) BGR: turned upright by its EXIF flag, transparent parts white, 16 bits brought to 8.

    Raises:
        InputError: The file is missing, empty, truncated, or not a picture.
    """
    from PIL import Image, UnidentifiedImageError

    check_file(path)
    try:
        # A large photo is no attack. What catches warnings is the process's, so one thread at a time may.
        with _LOCK, warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
            opened = Image.open(path)
        with opened:
            return upright_bgr(opened, path)
    except UnidentifiedImageError:
        raise InputError(
            f"{path} is not a picture, whatever its name says; wanted JPEG, PNG, WebP or the like."
        ) from None
    except Image.DecompressionBombError:
        raise InputError(f"{path} claims to have more pixels than is safe to open; scale it down first.") from None
    except BROKEN as error:
        raise InputError(f"{path} cannot be read to its end ({error}); copy or download it again.") from error


def upright_bgr(picture: "Picture", name: object = "the picture") -> NDArray[np.uint8]:
    """Return a picture of Pillow's as `read_photo` returns a file; raises what Pillow does where it is broken.

    Raises:
        InputError: It has 32-bit values; the sentence calls it by its name.
    """
    from PIL import Image

    picture.load()  # where it is a TIFF, Pillow turns it upright by that, and takes the flag away
    turned = _orientation(picture)
    if picture.mode == "F" or (picture.mode == "I" and picture.format not in ("PNG", "PPM")):
        raise InputError(f"{name} has 32-bit values, whose white nobody knows; save it with 8 or 16 bits.")
    # Not ImageOps.exif_transpose: it writes the other tags anew, and stumbles over those that are badly made.
    image = picture.transpose(Image.Transpose[UPRIGHT[turned]]) if turned in UPRIGHT else picture
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.ascontiguousarray(np.asarray(image.convert("RGB"))[:, :, ::-1])


def photo_size(path: Path) -> tuple[int, int]:
    """Return the width and height of a photo once it is upright, from its header alone.

    Raises:
        InputError: The file is missing, empty, not a picture, or too large.
    """
    from PIL import Image, UnidentifiedImageError

    check_file(path)
    try:
        with Image.open(path) as opened:
            # 5 to 8 turn by a quarter; the size of a TIFF is that of the upright photo already.
            sideways = opened.format != "TIFF" and _orientation(opened) in (5, 6, 7, 8)
            return (opened.height, opened.width) if sideways else opened.size
    except Image.DecompressionBombError:
        raise InputError(f"{path} claims to have more pixels than is safe to open; scale it down first.") from None
    except (UnidentifiedImageError, *BROKEN) as error:
        raise InputError(f"{path} is not a picture, whatever its name says ({error}).") from error


def _orientation(picture: "Picture") -> object:
    """Return EXIF's flag, which is 1 for an upright photo; where EXIF is broken, which costs no photo, 1 too."""
    from PIL import ExifTags

    try:
        return picture.getexif().get(ExifTags.Base.Orientation, 1)
    except BROKEN:
        return 1
