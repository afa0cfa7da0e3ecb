"""Readings drawn on what was read: an annotated photo, or an H.264 clip that a browser plays."""

from collections.abc import Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np

from mien.errors import OutputError
from mien.files import check_writable, written_beside
from mien.reading.face_reading import FrameReading
from mien.reading.sinks import Sink
from mien.reading.sinks.drawing import draw_faces
from mien.reading.sources import CLIP_SUFFIXES, PHOTO_SUFFIXES, Frame, is_clip, source_name

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

JPEG_QUALITY = 92
TIME_BASE = Fraction(1, 90_000)  # MPEG's clock: fine enough for any frame's own timestamp
CRF = "20"  # x264's constant quality; 18-23 is its documented range for "looks like the source"


class AnnotatedPhoto:
    """Writes a photo with its faces drawn in."""

    def __init__(self, path: Path) -> None:
        """Prepare to write `path`."""
        self._path = path

    def __enter__(self) -> Self:
        """Check early that the place can be written."""
        check_writable(self._path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing: a photo is written whole."""

    def write(self, frame: Frame, reading: FrameReading) -> None:
        """Draw and write the photo."""
        from PIL import Image

        picture = Image.fromarray(np.ascontiguousarray(draw_faces(frame.image_bgr, reading.faces)[:, :, ::-1]))
        try:
            with written_beside(self._path) as beside:
                picture.save(beside, quality=JPEG_QUALITY)
        except ValueError as error:  # a format's own limit, such as WebP's 16,383 pixels
            raise OutputError(f"Cannot write {self._path}: {error}; give a name that ends in .jpg or .png.") from error


class AnnotatedClip:
    """Writes a clip with its faces drawn in; each frame keeps its own timestamp."""

    def __init__(self, path: Path) -> None:
        """Prepare to write `path`."""
        self._path = path
        self._stack = ExitStack()
        self._stream: VideoStream | None = None
        self._last_pts = -1

    def __enter__(self) -> Self:
        """Open the file beside its final name."""
        import av

        with self._stack:
            beside = self._stack.enter_context(written_beside(self._path))
            # "faststart" puts the index first, so that a browser plays before it has everything.
            self._container: OutputContainer = av.open(beside, "w", options={"movflags": "faststart"})
            self._stack.callback(self._container.close)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish and rename the clip, or delete it if the block raised."""
        if error is None and self._stream is not None:
            self._container.mux(self._stream.encode(None))
        self._stack.__exit__(kind, error, trace)

    def write(self, frame: Frame, reading: FrameReading) -> None:
        """Draw and encode one frame."""
        import av

        height, width = (side // 2 * 2 for side in frame.image_bgr.shape[:2])  # yuv420p wants even sides
        if self._stream is None:
            self._stream = self._container.add_stream("libx264", options={"crf": CRF, "preset": "veryfast"})
            self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
            self._stream.time_base = self._stream.codec_context.time_base = TIME_BASE
        picture = draw_faces(frame.image_bgr, reading.faces)[:height, :width]
        video_frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24")
        # Broken files repeat a timestamp; an encoder needs them to grow.
        self._last_pts = max(self._last_pts + 1, round((frame.time_s or 0.0) / TIME_BASE))
        video_frame.pts, video_frame.time_base = self._last_pts, TIME_BASE
        self._container.mux(self._stream.encode(video_frame))


class AnnotatedFolder:
    """Draws on several files, each into a file of the same name in one folder."""

    def __init__(self, folder: Path, sources: Sequence[Path]) -> None:
        """Prepare to write into `folder`; it is made if it is not there.

        Raises:
            OutputError: One of the sources lies in the folder: it might be overwritten, or drawn on again.
        """
        for source in sources:
            if source.resolve().is_relative_to(folder.resolve()):
                raise OutputError(
                    f"Cannot draw into {folder}: {source}, which is read, lies in it; give another folder."
                )
        self._folder = folder
        self._targets: dict[str, tuple[Path, Path]] = {}  # name of the source -> source, target
        for source in sources:
            self._targets[source_name(source)] = (source, self._free_target(source))
        self._source: str | None = None
        self._stack = ExitStack()
        self._sink: Sink | None = None

    def _free_target(self, source: Path) -> Path:
        """Return a name of its own, also for a.jpg beside a.png, or two folders with an a.jpg each."""
        suffix = ".mp4" if is_clip(source) else ".jpg"
        taken = {target for _, target in self._targets.values()}
        target, number = self._folder / f"{source.stem}{suffix}", 2
        while target in taken:
            target, number = self._folder / f"{source.stem}-{number}{suffix}", number + 1
        return target

    def __enter__(self) -> Self:
        """Make the folder."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"Cannot make the folder {self._folder}: {error.strerror}.") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the last file."""
        self._stack.__exit__(kind, error, trace)

    def write(self, frame: Frame, reading: FrameReading) -> None:
        """Draw a frame; a new source closes the last file and begins the next."""
        if frame.source != self._source or self._sink is None:
            self._stack.close()
            self._source = frame.source
            source, target = self._targets[frame.source]
            self._sink = self._stack.enter_context(picture_sink(target, source))
        self._sink.write(frame, reading)


def picture_sink(path: Path, source: Path) -> Sink:
    """Return the sink that draws on `source` and writes `path`.

    Raises:
        OutputError: The suffix of `path` does not fit (a photo becomes a photo, a clip a clip), or `path` is `source`.
    """
    if path.resolve() == source.resolve():
        raise OutputError(f"Cannot draw into {path}: it is the very file that is read; give another name.")
    fitting = CLIP_SUFFIXES & {".mp4", ".mov", ".mkv"} if is_clip(source) else PHOTO_SUFFIXES - {".gif"}
    if path.suffix.lower() not in fitting:
        kind = "clip" if is_clip(source) else "photo"
        raise OutputError(
            f"Cannot draw the {kind} {source} into {path}: its name must end in {', '.join(sorted(fitting))}."
        )
    return AnnotatedClip(path) if is_clip(source) else AnnotatedPhoto(path)
