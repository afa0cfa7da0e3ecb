"""`mien watch`: a camera, a stream or a clip, read as it comes."""

import re
from collections import deque
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mien.apps.cli import show
from mien.apps.cli.durations import seconds
from mien.errors import OutputError
from mien.weights import DEFAULT_MODEL
from mien.words import counted, whole_percent

if TYPE_CHECKING:
    from mien.reading.face_reading import FaceReading, FrameReading
    from mien.reading.live import Newest
    from mien.reading.sources import Frame

BAR_CELLS = 20
MOST_FACES = 12  # lines of the terminal's view


def watch(
    camera: Annotated[str, typer.Option(help="A camera's number, an address (rtsp://…), or a clip.")] = "0",
    snap_when: Annotated[
        str | None, typer.Option(help="Take a photo by itself, e.g. 'all happy for 1s', 'any surprise for 0.5s'.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the photos.")] = None,
    window: Annotated[bool, typer.Option("--window", help="Show the pictures, where OpenCV has windows.")] = False,
    blur: Annotated[bool, typer.Option("--blur", help="Pixelate every face in what is shown and written.")] = False,
    smooth: Annotated[str, typer.Option(help="Average each face over the last so many seconds; 0: not.")] = "0.5s",
    largest: Annotated[bool, typer.Option("--largest", help="Read only the largest face.")] = False,
    detector: Annotated[str, typer.Option(help="auto, haar, yunet or dlib.")] = "auto",
    model: Annotated[str, typer.Option(help="A bundled model's name or an .onnx file.")] = DEFAULT_MODEL,
    offline: Annotated[bool, typer.Option("--offline", help="Never download a detector's model.")] = False,
) -> None:
    """Read the faces before a camera, in a stream, or in a clip at its own speed. Ctrl-C ends it."""
    from mien.reading.finder import SEARCH_EVERY_S
    from mien.reading.live import LiveReader, live
    from mien.reading.reader import Reader
    from mien.reading.snaps import SnapRule, Snaps

    if (snap_when is None) != (out is None):
        raise OutputError("--snap-when says when to take a photo and --out where to put it; give both, or neither.")
    if blur and not (window or snap_when):
        raise OutputError("--blur hides the faces in pictures, and none is asked for; add --window or --snap-when.")
    reader = Reader(
        model=model,
        detector=detector,
        largest=largest,
        smooth_s=seconds("--smooth", smooth),
        search_every_s=0.0 if blur else SEARCH_EVERY_S,  # a face is hidden from its first frame on
        offline=offline,
    )
    rule = SnapRule.parse(snap_when, reader.classifier.card.labels) if snap_when else None
    reads = LiveReader(reader)
    view: View = Window(blur=blur) if window else View()
    source = live(camera, on_note=view.say)
    with show.kill_as_ctrl_c(), ExitStack() as stack:
        stack.enter_context(view)
        snaps = Snaps(out, blur=blur) if out else None
        stack.enter_context(source)
        try:
            for frame in source:
                reading = reads.read(frame)
                view.show(frame, reading, source)
                if rule and snaps and rule.update(reading):
                    view.say(f"photo: {snaps.take(frame, reading)}")
                if view.closed:
                    break
        except KeyboardInterrupt:
            pass
    show.err.print(f"{counted(view.frames, 'frame')} read, {source.dropped} dropped", style="dim")


class View:
    """A steady view in the terminal; where there is none, a line whenever an expression changes.

    Attributes:
        frames: Frames shown.
        closed: Whether the user has closed it.
    """

    def __init__(self) -> None:
        self.frames = 0
        self.closed = False
        self._times: deque[float] = deque(maxlen=20)
        self._said: deque[str] = deque(maxlen=3)
        self._last: tuple[FrameReading, Newest] | None = None
        self._shown: tuple[tuple[int | None, str], ...] | None = None
        self._live = Live(console=show.out, auto_refresh=False, transient=True)

    def __enter__(self) -> "View":
        if show.out.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def show(self, frame: "Frame", reading: "FrameReading", source: "Newest") -> None:
        """Show the faces of a frame."""
        self.frames += 1
        self._times.append(reading.time_s or 0.0)
        self._last = reading, source
        if show.out.is_terminal:
            self._live.update(self.picture(reading, source), refresh=True)
            return
        shown = tuple(sorted((face.track, face.expression) for face in reading.faces if face.track is not None))
        if shown != self._shown:
            self._shown = shown
            faces = "  ".join(f"#{track} {expression}" for track, expression in shown) or "no face"
            show.out.print(f"{reading.time_s or 0.0:.2f} s  {faces}", soft_wrap=True)

    def say(self, sentence: str) -> None:
        """Say something that happened."""
        self._said.append(sentence)
        if not show.out.is_terminal:
            show.out.print(sentence, soft_wrap=True)
        elif self._last:
            self._live.update(self.picture(*self._last), refresh=True)

    def picture(self, reading: "FrameReading", source: "Newest") -> Group:
        """Return what the terminal shows: a line a face, what was said, how it goes."""
        table = Table("#", "expression", "", "likeliest", "next", width=76)
        for face in sorted(reading.faces, key=lambda face: face.track or 0)[:MOST_FACES]:
            table.add_row(*_cells(face))
        if not reading.faces:
            table.add_row("", "no face", "", "", "")
        span_s = self._times[-1] - self._times[0]
        rate = f"{(len(self._times) - 1) / span_s:.0f} frames/s" if span_s > 0 else ""
        faces = f"{counted(len(reading.faces), 'face')} · {rate} · {source.dropped} dropped · Ctrl-C ends"
        return Group(table, *(Text(sentence) for sentence in self._said), Text(faces, style="dim"))


class Window(View):
    """A window with the picture, drawn on; q or Esc closes it."""

    def __init__(self, *, blur: bool) -> None:
        import cv2

        super().__init__()
        self._blur = blur
        if re.search(r"GUI:\s+NONE", cv2.getBuildInformation()):
            raise OutputError(
                "--window needs an OpenCV with windows, and opencv-python-headless has none; leave it out, or replace "
                "the package by opencv-python."
            )

    def show(self, frame: "Frame", reading: "FrameReading", source: "Newest") -> None:
        """Show the frame."""
        import cv2

        from mien.reading.sinks.drawing import blurred, draw_faces

        self.frames += 1
        image = blurred(frame.image_bgr, reading) if self._blur else frame.image_bgr
        cv2.imshow("mien", draw_faces(image, reading.faces))
        self.closed = cv2.waitKey(1) & 0xFF in (ord("q"), 27)

    def say(self, sentence: str) -> None:
        """Say something that happened, in the terminal."""
        show.out.print(sentence, soft_wrap=True)


def _cells(face: "FaceReading") -> tuple[str, ...]:
    ranked = sorted(zip(face.probabilities, face.labels, strict=True), reverse=True)[:2]
    bar = "█" * round(BAR_CELLS * face.confidence)
    return str(face.track), face.expression, bar, *(f"{name} {whole_percent(share)}" for share, name in ranked)
