"""`mien read`: photos, folders and clips -> every face and its expression."""

import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer
from rich.table import Table

from mien.apps.cli import show
from mien.apps.cli.cluster import check_engine, read_by_ray, report_failures
from mien.apps.cli.durations import seconds
from mien.errors import InputError, OutputError, ReadingStopped
from mien.weights import DEFAULT_MODEL, at_hand
from mien.words import counted, whole_percent

if TYPE_CHECKING:
    from mien.reading.face_reading import FaceReading, FrameReading
    from mien.reading.sinks import Sink
    from mien.reading.sources import Frame


def read(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Photos, clips, or folders of them.")],
    json: Annotated[bool, typer.Option("--json", help="Print a JSON array, one object a face a frame.")] = False,
    out: Annotated[Path | None, typer.Option(help="Also write a table: .csv, .parquet or .jsonl.")] = None,
    annotate: Annotated[
        Path | None,
        typer.Option(help="Also draw the faces: a picture (.jpg, .png) or clip (.mp4), or a folder for several files."),
    ] = None,
    crops: Annotated[Path | None, typer.Option(help="Also write each face as a picture into this folder.")] = None,
    blur: Annotated[bool, typer.Option("--blur", help="Pixelate every face in the pictures that are written.")] = False,
    every: Annotated[str, typer.Option(help="Read a clip's frames so often on average, e.g. 0.2s; 0: each one.")] = "0",
    smooth: Annotated[str, typer.Option(help="In clips, average each face over so many seconds; 0: not.")] = "0.5s",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the .parquet of a stopped reading.")] = False,
    largest: Annotated[bool, typer.Option("--largest", help="Read only the largest face of each frame.")] = False,
    detector: Annotated[str, typer.Option(help="auto, haar, yunet or dlib.")] = "auto",
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Search each frame of a clip whole: slower, new faces at once.")
    ] = False,
    model: Annotated[str, typer.Option(help="A bundled model's name or an .onnx file.")] = DEFAULT_MODEL,
    offline: Annotated[bool, typer.Option("--offline", help="Never download a detector's model.")] = False,
    engine: Annotated[
        str, typer.Option(help="local, or ray: spread files over a cluster; --out NAME.parquet is a folder then.")
    ] = "local",
    address: Annotated[str | None, typer.Option(help="The cluster that ray is to use, or auto.")] = None,
) -> None:
    """Find every face in photos and clips and read its expression."""
    from mien.reading.finder import SEARCH_EVERY_S
    from mien.reading.reader import Reader
    from mien.reading.sinks.crops import FaceCrops
    from mien.reading.sinks.tables import PARQUET, JsonStream, table_sink
    from mien.reading.sources import media_files, path_of

    _check_together(out=out, annotate=annotate, crops=crops, blur=blur, resume=resume)
    files, refused = media_files(map(path_of, paths))
    options: dict[str, Any] = {
        "model": model,
        "detector": detector,
        "largest": largest,
        "smooth_s": seconds("--smooth", smooth),
        "every_s": seconds("--every", every),
        "search_every_s": 0.0 if thorough or blur else SEARCH_EVERY_S,  # a face is hidden from its first frame on
        "offline": offline,
    }
    check_engine(engine, address=address)
    if engine == "ray":
        read_by_ray(files, out, options, address=address, refused=refused, other=bool(json or annotate or crops))
        return
    reader = Reader(**options)
    findings = JsonStream(sys.stdout) if json else Findings()
    sinks: list[Sink] = [findings]
    begun = parquet = None
    if out:
        table = table_sink(out, reader.classifier.card.labels, settings=reader.settings(files), resume=resume)
        if out.suffix.lower() == PARQUET:
            from mien.reading.sinks.parquet import ParquetSink, failure_of

            assert isinstance(table, ParquetSink)
            parquet = table
        if parquet and resume:
            if parquet.finished:
                show.err.print(f"{out} is whole; nothing is left to read.", soft_wrap=True)
                with findings:  # of nothing: an empty array is good JSON
                    report_failures(refused + failure_of(out).splitlines(), len(files) + len(refused))
                    return
            if begun := parquet.begun():
                had = counted(begun.rows, "row")
                show.err.print(f"going on after {had}, in {begun.source}", style="dim", soft_wrap=True)
        sinks.append(table)
    if annotate:
        sinks.append(_drawings(annotate, files, blur=blur))
    if crops:
        sinks.append(FaceCrops(crops, files))
    try:
        with show.kill_as_ctrl_c(), show.progress_bar() as bar, ExitStack() as open_sinks:
            total, before = _places(files) if show.err.is_terminal else (None, {})
            task = bar.add_task(
                f"Reading {files[0].name}" if len(files) == 1 else f"Reading {len(files)} files", total=total
            )

            def show_place(reading: "FrameReading") -> None:  # frames that are skipped, or in the table, are passed too
                bar.update(task, completed=before.get(reading.source, 0) + reading.frame + 1)

            for sink in sinks:
                open_sinks.enter_context(sink)
            summary = reader.read_into(
                sinks,
                files,
                on_frame=show_place,
                on_failure=parquet.note_failure if parquet else lambda sentence: None,  # --resume says them again
                begun=begun,
            )
    except InputError as error:  # of the only file that there was to read
        raise InputError("\n".join([*refused, str(error)])) from error
    except KeyboardInterrupt:
        raise ReadingStopped(_kept(out, annotate=annotate, crops=crops, blur=blur)) from None
    if not json:
        if begun:
            show.out.print(f"That is what was read now, after {had} that were there.", soft_wrap=True)
        _print_method(reader.classifier.path.stem, reader.detector.name, detector)
        if written := [str(path) for path in (out, annotate, crops) if path]:
            show.err.print(f"written: {', '.join(written)}", style="dim", soft_wrap=True)
    report_failures(refused + summary.failures, len(files) + len(refused))


def _places(files: Sequence[Path]) -> tuple[int | None, dict[str, int]]:
    """Return how many frames files have, and how many come before each; None if the only one does not say."""
    from mien.files import as_text
    from mien.reading.sources import frame_count

    counts = [frame_count(file) for file in files]
    before = accumulate((count or 1 for count in counts), initial=0)  # one of many that does not say is put right later
    places = dict(zip(map(as_text, files), before, strict=False))
    return None if counts == [None] else sum(count or 1 for count in counts), places


def _check_together(*, out: Path | None, annotate: Path | None, crops: Path | None, blur: bool, resume: bool) -> None:
    """Raise OutputError for options that contradict each other."""
    if blur and crops:
        raise OutputError("--crops writes faces and --blur hides them; choose one of the two.")
    if blur and not annotate:
        raise OutputError("--blur hides the faces in pictures, and none is asked for; add --annotate.")
    if resume and (out is None or out.suffix.lower() != ".parquet"):
        raise OutputError("--resume goes on with a Parquet table; add --out NAME.parquet.")
    if resume and (annotate or crops):
        raise OutputError("--resume goes on with a table only; leave out --annotate and --crops, or --resume.")


def _kept(out: Path | None, *, annotate: Path | None, crops: Path | None, blur: bool) -> str:
    """Return what a stopped reading leaves behind, and how to go on."""
    folders = [str(path) for path in (annotate, crops) if path and path.is_dir()]
    pictures = f" Pictures so far are in {' and '.join(folders)}." if folders else ""
    if out is None or out.suffix.lower() != ".parquet":
        lost = f"{out} is not written" if out else "no table was asked for"
        return f"Stopped: {lost}; with --out NAME.parquet a stopped reading can go on, by --resume.{pictures}"
    options = {"--annotate": annotate, "--crops": crops, "--blur": blur}
    without = " and ".join(option for option, given in options.items() if given)
    return (
        f"Stopped: the rows so far are kept; go on to {out} with the same command and --resume"
        f"{f', without {without}' if without else ''}{', with --thorough' if blur else ''}.{pictures}"
    )


def _drawings(annotate: Path, files: list[Path], *, blur: bool) -> "Sink":
    from mien.reading.sinks.pictures import AnnotatedFolder, picture_sink

    if annotate.is_dir() or not annotate.suffix:
        return AnnotatedFolder(annotate, files, blur=blur)
    if len(files) > 1:
        raise OutputError(
            f"--annotate {annotate} is one file, and there are {len(files)} to draw; give the name of a folder."
        )
    return picture_sink(annotate, files[0], blur=blur)


def _print_method(model: str, detector: str, asked: str) -> None:
    hint = ""
    if asked == "auto" and not at_hand("yunet"):
        hint = "; YuNet finds more faces: mien weights fetch yunet"
    show.err.print(f"model {model} · detector {detector}{hint}", style="dim", soft_wrap=True)


class Findings:
    """A sink that prints what was found: a line a face for photos, a line an expression for clips."""

    def __init__(self) -> None:
        self._photos: list[tuple[str, ...]] = []  # a row each: the photo, and what _cells gives
        self._clips: dict[str, Clip] = {}

    def __enter__(self) -> Self:
        """Do nothing yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Print, unless the reading failed."""
        if error is not None:
            return
        if self._photos:
            sources = {row[0] for row in self._photos}
            often = Counter(Path(source).name for source in sources)
            names = {source: name if often[name := Path(source).name] == 1 else source for source in sources}
            table = Table(show.whole("photo", [*names.values()]))
            for name in ("face", "box x y w h", "expression", "next"):
                table.add_column(name, no_wrap=True)
            for row in self._photos:
                table.add_row(names[row[0]], *row[1:])
            show.out.print(table)
        for source, clip in self._clips.items():
            clip.print(source)

    def write(self, frame: "Frame", reading: "FrameReading") -> None:
        """Take a frame."""
        if reading.time_s is not None:
            self._clips.setdefault(reading.source, Clip()).add(reading)
        elif reading.faces:
            for face in reading.faces:
                self._photos.append((reading.source, *_cells(face)))
        else:
            self._photos.append((reading.source, "", "", "no face found"))


def _cells(face: "FaceReading") -> tuple[str, ...]:
    first, second = sorted(zip(face.probabilities, face.labels, strict=True), reverse=True)[:2]
    box = " ".join(str(value) for value in face.box_xywh_px)
    sure = f"{first[1]} {whole_percent(first[0])}"
    called = sure if face.expression == first[1] else f"{face.expression}: {sure}"
    return str(face.face), box, called, f"{second[1]} {whole_percent(second[0])}"


class Clip:
    """Counts over one clip."""

    def __init__(self) -> None:
        self._frames = self._faces = self._with_face = 0
        self._tracks: set[int | None] = set()
        self._last_s = 0.0
        self._expressions: Counter[str] = Counter()

    def add(self, reading: "FrameReading") -> None:
        """Count a frame."""
        self._frames += 1
        self._last_s = reading.time_s or 0.0
        self._with_face += bool(reading.faces)
        self._faces += len(reading.faces)
        self._tracks.update(face.track for face in reading.faces)
        self._expressions.update(face.expression for face in reading.faces)

    def print(self, source: str) -> None:
        """Print the counts."""
        show.out.print(
            f"{Path(source).name}: {counted(self._frames, 'frame')} to {self._last_s:.2f} s; a face in "
            f"{self._with_face} of them"
            + (
                f"; {counted(self._faces, 'reading')} along {counted(len(self._tracks), 'track')}:"
                if self._faces
                else ""
            ),
            soft_wrap=True,
        )
        for expression, count in self._expressions.most_common():
            share = count / self._faces
            show.out.print(f"  {expression:<9} {share:>4.0%} {'█' * round(30 * share)}")
