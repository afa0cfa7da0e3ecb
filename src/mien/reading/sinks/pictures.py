"""Readings drawn on what was read: an annotated photo, or an H.264 clip that a browser plays, its sound kept."""

import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from mien.errors import OutputError
from mien.files import as_text, check_writable, make_folder, shortened, written_beside
from mien.photos import PHOTO_SUFFIXES
from mien.reading.face_reading import FrameReading
from mien.reading.sinks import Sink, check_apart
from mien.reading.sinks.drawing import blurred, draw_faces
from mien.reading.sources import CLIP_SUFFIXES, Frame, is_clip

if TYPE_CHECKING:
    from av import Packet
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.video.stream import VideoStream

JPEG_QUALITY = 92
JPEG_MOST_PX = 65_500  # a side
TIME_BASE = Fraction(1, 90_000)  # MPEG's clock: fine enough for any frame's own timestamp
# What each holds and players know; but for MP4, also PCM, to which FFmpeg says yes there too, and does not finish.
MOV_SOUNDS = frozenset({"aac", "ac3", "alac", "eac3", "mp3"})
MP4_SOUNDS = MOV_SOUNDS | {"flac", "opus"}
SOUNDS = {".mov": MOV_SOUNDS, ".mp4": MP4_SOUNDS, ".mkv": MP4_SOUNDS | {"dts", "mp2", "vorbis"}}
CRF = "20"  # x264's constant quality; 18-23 is its documented range for "looks like the source"


class AnnotatedPhoto:
    """Writes a photo with its faces drawn in."""

    def __init__(self, path: Path, *, blur: bool = False) -> None:
        """Prepare to write `path`; with `blur`, every face is pixelated."""
        self._path = path
        self._blur = blur

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

        most = max(frame.image_bgr.shape[:2])
        if most > JPEG_MOST_PX and self._path.suffix.lower() in (".jpg", ".jpeg", ".jfif"):
            raise OutputError(
                f"Cannot write {self._path}: JPEG takes {JPEG_MOST_PX:,} pixels along a side, and the photo has "
                f"{most:,}; give a name that ends in .png."
            )
        picture = Image.fromarray(np.ascontiguousarray(_drawn(frame, reading, blur=self._blur)[:, :, ::-1]))
        try:
            with written_beside(self._path) as beside:
                picture.save(beside, quality=JPEG_QUALITY)
        except ValueError as error:  # a format's own limit, such as WebP's 16,383 pixels
            raise OutputError(f"Cannot write {self._path}: {error}; give a name that ends in .jpg or .png.") from error


class AnnotatedClip:
    """Writes a clip with its faces drawn in; each frame keeps its own timestamp, and the sound is kept as it is."""

    def __init__(self, path: Path, *, sound: Path | None = None, blur: bool = False) -> None:
        """Prepare to write `path`.

        Args:
            path: The clip to write.
            sound: The clip whose sound is copied; None: the clip is silent.
            blur: Pixelate every face.
        """
        self._path = path
        self._sound = sound
        self._blur = blur
        self._stack = ExitStack()
        self._stream: VideoStream | None = None
        self._packets: Iterator[Packet[Any]] = iter(())
        self._packet: Packet[Any] | None = None
        self._last_pts = -1
        self._last_s = self._later_s = 0.0

    def __enter__(self) -> Self:
        """Open the file beside its final name."""
        import av

        with self._stack:
            beside = self._stack.enter_context(written_beside(self._path))
            # "faststart" puts the index first, so that a browser plays before it has everything.
            options = {} if self._path.suffix.lower() == ".mkv" else {"movflags": "faststart"}
            self._container: OutputContainer = av.open(beside.absolute(), "w", options=options)
            self._stack.callback(self._container.close)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish and rename the clip, or delete it if the block raised."""
        try:
            if error is None and self._stream is not None:
                with self._saying_what_fails():
                    self._container.mux(self._stream.encode(None))
                    self._copy_sound(math.inf)
        except BaseException as failure:
            self._stack.__exit__(type(failure), failure, failure.__traceback__)
            raise
        self._stack.__exit__(kind, error, trace)

    def write(self, frame: Frame, reading: FrameReading) -> None:
        """Draw and encode one frame."""
        with self._saying_what_fails():
            self._write(frame, reading)

    def _write(self, frame: Frame, reading: FrameReading) -> None:
        import av

        height, width = (side // 2 * 2 for side in frame.image_bgr.shape[:2])  # yuv420p wants even sides
        if self._stream is None:
            self._stream = self._container.add_stream("libx264", options={"crf": CRF, "preset": "veryfast"})
            self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
            self._stream.time_base = self._stream.codec_context.time_base = TIME_BASE
            if self._sound is not None:
                self._open_sound(self._sound)
        picture = _drawn(frame, reading, blur=self._blur)[:height, :width]
        video_frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24")
        time_s = frame.time_s or 0.0
        if time_s < self._last_s:  # joined clips may begin their times anew
            self._later_s += self._last_s - time_s
        self._last_s = time_s
        # Broken files repeat a timestamp; an encoder needs them to grow.
        self._last_pts = max(self._last_pts + 1, round((time_s + self._later_s) / TIME_BASE))
        video_frame.pts, video_frame.time_base = self._last_pts, TIME_BASE
        self._container.mux(self._stream.encode(video_frame))
        self._copy_sound(time_s)

    @contextmanager
    def _saying_what_fails(self) -> Iterator[None]:
        import av

        try:
            yield
        except av.FFmpegError as error:
            raise OutputError(
                f"Cannot write {self._path} ({error.strerror}); give a name that ends in .mp4."
            ) from error

    def _open_sound(self, source: Path) -> None:
        """Prepare to copy the first sound track, packet by packet; one that the container cannot hold is left out."""
        import av

        container = self._stack.enter_context(av.open(source.absolute(), metadata_errors="replace"))
        if not container.streams.audio:
            return
        stream = container.streams.audio[0]
        # FFmpeg may not know the codec at all: then there is no context.
        codec = stream.codec_context.codec.canonical_name if stream.codec_context else "its codec"
        suffix = self._path.suffix.lower()
        uncompressed = codec.startswith("pcm_") and suffix != ".mp4"
        if not uncompressed and codec not in SOUNDS[suffix]:
            print(f"{self._path.name} has no sound: {codec} does not fit into {self._path.suffix}.", file=sys.stderr)
            return
        copy = self._container.add_stream_from_template(stream)
        self._packets = _packets_of(container, stream, copy)
        self._packet = next(self._packets, None)

    def _copy_sound(self, until_s: float) -> None:
        """Copy the sound up to a time, so that sound and picture lie side by side in the file."""
        while self._packet is not None and float((self._packet.dts or 0) * (self._packet.time_base or 0)) <= until_s:
            self._container.mux(self._packet)
            self._packet = next(self._packets, None)


def _packets_of(container: "InputContainer", stream: "AudioStream", copy: "AudioStream") -> "Iterator[Packet[Any]]":
    """Yield a sound track's packets, made out to the stream they are copied to.

    They stop where the file is broken, or begins its times anew, which no container takes.
    """
    import av

    last = None
    try:
        for packet in container.demux(stream):
            if packet.dts is not None:
                if last is not None and packet.dts < last:
                    return
                last = packet.dts
                packet.stream = copy
                yield packet
    except av.FFmpegError:
        return


def _drawn(frame: Frame, reading: FrameReading, *, blur: bool) -> NDArray[np.uint8]:
    image = blurred(frame.image_bgr, reading) if blur else frame.image_bgr
    return draw_faces(image, reading.faces)


class AnnotatedFolder:
    """Draws on several files, each into a file of the same name in one folder."""

    def __init__(self, folder: Path, sources: Sequence[Path], *, blur: bool = False) -> None:
        """Prepare to write into `folder`; it is made if it is not there. With `blur`, every face is pixelated.

        Raises:
            OutputError: One of the sources lies in the folder: it might be overwritten, or drawn on again.
        """
        check_apart(folder, sources)
        self._folder = folder
        self._blur = blur
        self._targets: dict[str, tuple[Path, Path]] = {}  # name of the source -> source, target
        for source in sources:
            self._targets[as_text(source)] = (source, self._free_target(source))
        self._source: str | None = None
        self._stack = ExitStack()
        self._sink: Sink | None = None

    def _free_target(self, source: Path) -> Path:
        """Return a name of its own, also for a.jpg beside a.png, or two folders with an a.jpg each."""
        suffix = ".mp4" if is_clip(source) else ".jpg"
        taken = {target.name.casefold() for _, target in self._targets.values()}  # macOS and Windows see no case
        stem = shortened(source.stem)
        target, number = self._folder / f"{stem}{suffix}", 2
        while target.name.casefold() in taken:
            target, number = self._folder / f"{stem}-{number}{suffix}", number + 1
        return target

    def __enter__(self) -> Self:
        """Make the folder."""
        make_folder(self._folder)
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
            if max(frame.image_bgr.shape[:2]) > JPEG_MOST_PX and not is_clip(source):
                target = target.with_suffix(".png")
            self._sink = self._stack.enter_context(picture_sink(target, source, blur=self._blur))
        self._sink.write(frame, reading)


def picture_sink(path: Path, source: Path, *, blur: bool = False) -> Sink:
    """Return the sink that draws on `source` and writes `path`; with `blur`, every face is pixelated.

    Raises:
        OutputError: The suffix of `path` does not fit (a photo becomes a photo, a clip a clip), or `path` is `source`.
    """
    if path.resolve() == source.resolve():
        raise OutputError(f"Cannot draw into {path}: it is the very file that is read; give another name.")
    fitting = CLIP_SUFFIXES & {".mp4", ".mov", ".mkv"} if is_clip(source) else PHOTO_SUFFIXES - {".gif", ".pgm"}
    if path.suffix.lower() not in fitting:
        kind = "clip" if is_clip(source) else "photo"
        raise OutputError(
            f"Cannot draw the {kind} {source} into {path}: its name must end in {', '.join(sorted(fitting))}."
        )
    return AnnotatedClip(path, sound=source, blur=blur) if is_clip(source) else AnnotatedPhoto(path, blur=blur)
