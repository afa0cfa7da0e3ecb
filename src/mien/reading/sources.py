"""Photos, folders and clips -> upright frames with their own timestamps.

In: paths.  Out: Frame after Frame, BGR.
"""

import math
import os
import re
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.errors import DamagedClip, InputError
from mien.files import as_text
from mien.photos import PHOTO_SUFFIXES, check_file, read_photo
from mien.words import counted

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

CLIP_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm"})

# A clip whose last frame ends this much before the time its header promises has been cut off. Less than that is how
# containers round, or a frame and a half of a slow clip.
MISSING_S, MISSING_FRAMES = 0.5, 1.5

EARLY_S = 1e-3  # a frame this little before it is wanted will do: containers round to milliseconds


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One upright picture.

    Attributes:
        image_bgr: (H, W, 3) uint8.
        source: File it came from; "" for an array.
        index: Number of the frame, counted from 0.
        time_s: Its own timestamp in seconds; None for a photo.
    """

    image_bgr: NDArray[np.uint8]
    source: str = ""
    index: int = 0
    time_s: float | None = None


def path_of(source: str | os.PathLike[str]) -> Path:
    """Return the path that a user gave.

    Raises:
        InputError: It is empty, or an address on the network.
    """
    text = os.fspath(source)
    if not text:  # a script's empty variable; Path("") would be the whole folder it runs in
        raise InputError("A path is empty; name a photo, a clip or a folder of them, as in `mien read .`.")
    if "://" in text:
        raise InputError(
            f"{text} is an address, and mien reads files: download it first and give its path; a live stream is for "
            f"`mien watch --camera {text}`."
        )
    return Path(source)


def media_files(paths: Iterable[Path]) -> tuple[list[Path], list[str]]:
    """Return the photos and clips that the paths name, those in folders by name, and a sentence for each other path.

    Raises:
        InputError: There is no photo and no clip: a path does not exist, a file is neither, or a folder holds none.
    """
    found: list[Path] = []
    refused: list[InputError] = []
    for path in paths:
        try:
            found += _media_of(path, refused)
        except InputError as error:
            refused.append(error)
    if refused and not found:
        raise InputError("\n".join(map(str, refused)))
    files = list({path.resolve(): path for path in found}.values())  # each once, also if named twice
    return files, [str(error) for error in refused]


def _media_of(path: Path, refused: list[InputError]) -> list[Path]:
    """Return a file, or the files in a folder at any depth; folders in it that one may not open are refused."""
    if _is_file(path):
        if _is_media(path):
            return [path]
        raise InputError(f"{path} is neither a photo nor a clip; mien reads {_known_suffixes()}.")
    if not _is_folder(path):
        raise InputError(f"There is no file {path}; check the spelling.")

    def closed(error: OSError) -> None:
        refused.append(InputError(f"There is no permission to open {error.filename}; ask its owner for it."))

    within = (Path(folder, name) for folder, _, names in os.walk(path, onerror=closed) for name in names)
    inside = sorted(file for file in within if _is_media(file) and _is_file(file))
    # What begins with a dot is nobody's photo: macOS's ._a.jpg, thumbnails, what a killed process left.
    if seen := [file for file in inside if not any(part[0] == "." for part in file.relative_to(path).parts)]:
        return seen
    raise InputError(f"The folder {path} holds no photo and no clip ({_known_suffixes()}).")


def _is_file(path: Path) -> bool:
    """Return whether a path is a file; one that this user may not look at is taken for one, and refused when read."""
    try:
        return path.is_file()
    except PermissionError:
        return True
    except (OSError, ValueError):  # a name that no file can have
        return False


def _is_folder(path: Path) -> bool:
    """Return whether a path is a folder that this user may look at."""
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name that no folder can have
        return False


def is_clip(path: Path) -> bool:
    """Return whether a path names a clip, by its suffix."""
    return path.suffix.lower() in CLIP_SUFFIXES


def frames(path: Path, *, every_s: float = 0.0, from_s: float = -math.inf) -> Generator[Frame, None, None]:
    """Yield the one frame of a photo, or the frames of a clip.

    Args:
        path: A photo or a clip.
        every_s: Yield a clip's frame so often on average, in its own time; 0: each one. Frames keep their numbers.
        from_s: Leave out a clip's frames before this time.

    Raises:
        InputError: The file is missing, empty, a truncated photo, or not what its name says.
        DamagedClip: A clip breaks off or is damaged in the middle; raised after all frames that could be read.
    """
    if _is_folder(path):
        raise InputError(f"{path} is a folder; give its files one by one, or use `mien read {path}`.")
    if is_clip(path):
        check_file(path)
        yield from _clip_frames(path, every_s, from_s)
    else:
        yield Frame(read_photo(path), source=as_text(path))


def frame_count(path: Path) -> int | None:
    """Return how many frames a file says it has, for a progress bar; None if it does not say."""
    if not is_clip(path):
        return 1
    import av

    try:
        # FFmpeg takes a relative 12:30.mp4 for an address; a title in another encoding is no reason to stop.
        with av.open(path.absolute(), metadata_errors="replace") as container:
            return container.streams.video[0].frames or None
    except (av.FFmpegError, IndexError):
        return None


def _clip_frames(path: Path, every_s: float, from_s: float) -> Iterator[Frame]:
    import av  # here, since reading a photo should not wait for it

    index, time_s, until_s, good, broken, wanted_s = -1, -math.inf, 0.0, 0, 0, -math.inf
    try:
        with av.open(path.absolute(), metadata_errors="replace") as container:
            if not container.streams.video:
                raise InputError(f"{path} has no video stream, so there is no face to read; name a clip with pictures.")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            base, rate = float(stream.time_base or 0), float(stream.average_rate or 25)
            end_s = _stated_end_s(container, stream)
            for packet in container.demux(stream):
                try:
                    decoded = packet.decode()
                except av.InvalidDataError:  # a broken packet costs its own frames only
                    broken += 1
                    continue
                if packet.pts is not None:
                    until_s = max(until_s, (packet.pts + (packet.duration or 0)) * base)
                for frame in decoded:
                    # AVI has no presentation times: what its packets carry is the order of decoding.
                    stamp = frame.dts if container.format.name == "avi" else frame.pts
                    before_s = time_s
                    time_s = stamp * base if stamp is not None else max(time_s + 1 / rate, 0.0)
                    if time_s < before_s:  # joined clips may begin their times anew
                        wanted_s = from_s = -math.inf
                    index += 1
                    if frame.is_corrupt:  # grey and smears may hide the face
                        broken += 1
                        continue
                    good += 1
                    if every_s and time_s < wanted_s - EARLY_S:
                        continue
                    wanted_s = wanted_s + every_s if wanted_s + every_s > time_s else time_s + every_s
                    if time_s >= from_s:
                        image = upright(frame, stream.sample_aspect_ratio)
                        yield Frame(image, source=as_text(path), index=index, time_s=time_s)
    except av.FFmpegError as error:
        if not good:
            raise InputError(
                f"{path} cannot be read as a clip ({error.strerror}); copy or download it again."
            ) from error
        broken += 1
    if not good:
        raise InputError(f"{path} has no frame that can be decoded; copy or download it again.")
    if max(time_s + max(MISSING_S, MISSING_FRAMES / rate), until_s + EARLY_S) < end_s:
        raise DamagedClip(f"{path} breaks off at {time_s:.2f} s of {end_s:.2f} s; what comes before was read.")
    if broken:
        raise DamagedClip(
            f"{path} is damaged in {counted(broken, 'place')}; frames are missing there, or smeared. "
            "The others were read."
        )


def _stated_end_s(container: "InputContainer", stream: "VideoStream") -> float:
    """Return when a clip's pictures end by its own word, in seconds; 0 if it does not say."""
    if stream.duration:
        return ((stream.start_time or 0) + stream.duration) * float(stream.time_base or 0)
    # Matroska and WebM say it in a tag of the stream, or only for the whole file, where sound may end later.
    tag = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if tag is not None:
        return 3600 * int(tag[1]) + 60 * int(tag[2]) + float(tag[3])
    return (container.duration or 0) / 1e6 if len(container.streams) == 1 else 0.0


def upright(frame: "VideoFrame", pixel_ratio: Fraction | None) -> NDArray[np.uint8]:
    """Return a clip's frame as it is to be seen, (H, W, 3) BGR: turned as it says, its pixels made square.

    Args:
        frame: As decoded.
        pixel_ratio: The width of its pixels over their height; None if it does not say.
    """
    width = round(frame.width * (pixel_ratio or 1))
    image = np.asarray(frame.to_ndarray(format="bgr24", width=width), np.uint8)
    # `rotation` counts counter-clockwise degrees, as `rot90` does.
    return np.ascontiguousarray(np.rot90(image, frame.rotation // 90)) if frame.rotation else image


def _is_media(path: Path) -> bool:
    return path.suffix.lower() in PHOTO_SUFFIXES | CLIP_SUFFIXES


def _known_suffixes() -> str:
    return " ".join(sorted(suffix[1:] for suffix in PHOTO_SUFFIXES | CLIP_SUFFIXES))
