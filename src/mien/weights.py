"""Where model files come from: bundled with the package, a path, or a download with a pinned SHA-256.

Nothing is downloaded at import, and nothing without being said.
"""

import errno
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from mien.errors import ModelError, WeightsError, unknown_name
from mien.files import make_folder, sha256, written_beside

BUNDLED = Path(__file__).with_name("bundled")
DEFAULT_MODEL = "mien-m-int8"  # of those in there, the one that is used where none is named


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """A file that is fetched once, or added by hand, and accepted only with this SHA-256.

    Attributes:
        filename: What it is called in mien's home.
        url: Where it is downloaded from.
        sha256: Its hash.
        size_bytes: Its size.
        licence: Its licence.
        once_added: What having it changes, in words.
    """

    filename: str
    url: str
    sha256: str
    size_bytes: int
    licence: str
    once_added: str


# What a folder has that cannot be written to; whatever else goes wrong in a download is of the network.
NO_PLACE = {errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EEXIST}
PINNED = {
    # OpenCV's model zoo; Wu, Peng & Yu, "YuNet: A Tiny Millisecond-level Face Detector", 2023.
    "yunet": PinnedFile(
        filename="face_detection_yunet_2023mar.onnx",
        url="https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models/"
        "face_detection_yunet/face_detection_yunet_2023mar.onnx",
        sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
        size_bytes=232_589,
        licence="MIT",
        once_added="it is now the default detector",
    ),
    # Simonyan & Zisserman 2015, trained on ImageNet; torchvision's file, whose name holds the first digits of its sum.
    "vgg16-imagenet": PinnedFile(
        filename="vgg16-397923af.pth",
        url="https://download.pytorch.org/models/vgg16-397923af.pth",
        sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        size_bytes=553_433_881,
        licence="BSD-3-Clause",
        once_added="recipes can start from it now",
    ),
}


def bundled_models() -> dict[str, Path]:
    """Return the models that ship with the package, by name."""
    return {path.stem: path for path in sorted(BUNDLED.glob("*.onnx"))}


def model_path(name_or_path: str | Path) -> Path:
    """Return the file of a model: a bundled one by its name, any other by its path.

    Raises:
        ModelError: Neither a bundled name nor an existing file.
    """
    bundled = bundled_models()
    if str(name_or_path) in bundled:
        return bundled[str(name_or_path)]
    path = Path(name_or_path)
    if path.is_file():
        return path
    if path.suffix == ".onnx" or len(path.parts) > 1:
        raise ModelError(
            f"There is no model file or run {path}; give a path to an .onnx file or one of: {', '.join(bundled)}."
        )
    raise ModelError(unknown_name("model", str(name_or_path), bundled))


def home() -> Path:
    """Return the folder of added and downloaded files: $MIEN_HOME, or the user's data folder."""
    from platformdirs import user_data_path

    stated = os.environ.get("MIEN_HOME")
    return Path(stated) if stated else user_data_path("mien", appauthor=False)


def at_hand(name: str) -> Path | None:
    """Return the path of a pinned file if it is already on this machine.

    Raises:
        WeightsError: The file there has another SHA-256: it was changed or damaged.
    """
    path = home() / PINNED[name].filename
    try:
        there = path.is_file()
    except PermissionError:  # this user may not enter the folder
        there = False
    if not there:
        return None
    if sha256(path) != PINNED[name].sha256:
        raise WeightsError(f"{path} is damaged: its SHA-256 is not the pinned one; run: mien weights fetch {name}")
    return path


def add(path: Path) -> str:
    """Copy a file that was fetched by hand into mien's home; return the name it is known by.

    Raises:
        WeightsError: No such file, or one with none of the pinned SHA-256 sums.
    """
    if not path.is_file():
        raise WeightsError(f"There is no file {path}; give the path of a file to add.")
    found = sha256(path)
    for name, pinned in PINNED.items():
        if pinned.sha256 == found:
            make_folder(home())
            with written_beside(home() / pinned.filename) as beside:
                shutil.copyfile(path, beside)
            return name
    wanted = ", ".join(f"{pinned.filename} ({pinned.sha256[:12]}…)" for pinned in PINNED.values())
    raise WeightsError(
        f"{path} has SHA-256 {found[:12]}…, which is none of the files mien knows: {wanted}; "
        "download it again and add the new copy."
    )


def fetch(name: str, *, offline: bool = False) -> Path:
    """Return the path of a pinned file, downloading it first if it is not at hand; says so on stderr.

    Raises:
        WeightsError: The download failed, what came has another SHA-256, or `offline` forbids to download.
    """
    pinned = PINNED[name]
    try:
        if path := at_hand(name):
            return path
    except WeightsError:
        if offline:
            raise
        (home() / pinned.filename).unlink(missing_ok=True)
    if offline:
        raise WeightsError(
            f"{pinned.filename} is not at hand and --offline forbids to download it; "
            f"get it elsewhere and run: mien weights add {pinned.filename}"
        )
    import pooch

    print(f"Downloading {pinned.filename} ({pinned.size_bytes // 1000} kB) from {pinned.url}", file=sys.stderr)
    pooch.get_logger().setLevel("WARNING")
    try:
        # pooch writes beside, checks the sum, then renames.
        return Path(pooch.retrieve(pinned.url, f"sha256:{pinned.sha256}", fname=pinned.filename, path=home()))
    except OSError as error:
        if isinstance(error, PermissionError) or error.errno in NO_PLACE:  # pooch makes them without a number
            raise WeightsError(
                f"Cannot write into {home()} ({error.strerror or error}); mend that, or name another folder "
                "with MIEN_HOME."
            ) from error
        raise WeightsError(
            f"Could not download {pinned.filename} ({type(error).__name__}); without network, get it from the "
            f"address above on another machine, copy it to this one and run: mien weights add {pinned.filename}"
        ) from error
    except ValueError as error:  # pooch's word for another sum; a wrong proxy is both, and above
        raise WeightsError(
            f"What came from {pinned.url} has another SHA-256 than the pinned one, and was thrown away; "
            "try again later, or get the file elsewhere and run `mien weights add`."
        ) from error
