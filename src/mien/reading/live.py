"""Live pictures: a camera, a stream or a clip at its own speed -> the newest frame, readings without delay.

In: the number of a camera, an address, or a file.  Out: Frame after Frame; those that came while the last one was read
are dropped, so that what is seen is what is now.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from mien.errors import InputError
from mien.photos import check_file
from mien.reading.face_reading import FrameReading
from mien.reading.reader import Reader
from mien.reading.smoothing import Smoother
from mien.reading.sources import Frame, frames, is_clip, upright

LONGEST_WAIT_S = 30.0  # between two attempts to open a stream that broke: 1, 2, 4 … seconds, and no more than this
SILENCE_S = 10.0  # a stream that says nothing for so long is broken


class Newest:
    """Iterates over the newest frames of a live source; a thread reads them as they come.

    Attributes:
        dropped: Frames that came and were not taken.
    """

    def __init__(
        self,
        opened: Callable[[], Iterator[Frame]],
        *,
        reconnects: bool,
        on_note: Callable[[str], object] = lambda sentence: None,
        wait: Callable[[threading.Event, float], object] = threading.Event.wait,
    ) -> None:
        """Prepare to read.

        Args:
            opened: Opens the source and yields its frames.
            reconnects: Open it again when it breaks or ends after its first frame.
            on_note: Told, in the thread that reads, what is wrong, each thing once, and when it is back.
            wait: Waits for an event or some seconds; a test passes its own.
        """
        self.dropped = 0
        self._opened = opened
        self._on_note = on_note
        self._reconnects = reconnects
        self._wait = wait
        self._frame: Frame | None = None
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="mien live", daemon=True)

    def __enter__(self) -> Self:
        """Begin to read."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop; a source that hangs is left to end with the process."""
        self._closed.set()
        self._thread.join(timeout=1)

    def __iter__(self) -> Iterator[Frame]:
        """Yield the newest frame, again and again, until the source ends.

        Raises:
            InputError: The source cannot be opened, or breaks and is not one to try again.
        """
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._frame is not None or self._closed.is_set())
                frame, self._frame = self._frame, None
            if frame is None:
                if self._error is not None:
                    raise self._error
                return
            yield frame

    def _work(self) -> None:
        wait_s, seen, said = 1.0, False, ""
        try:
            while not self._closed.is_set():
                try:
                    for frame in self._opened():
                        if said:
                            self._on_note("It is back.")
                        wait_s, seen, said = 1.0, True, ""
                        with self._changed:
                            self.dropped += self._frame is not None
                            self._frame = frame
                            self._changed.notify()
                        if self._closed.is_set():
                            return
                    if not self._reconnects:
                        return
                    if not seen:
                        raise InputError("The camera or stream opens and gives no picture; check it, or try again.")
                    trouble = "The stream has ended."
                except InputError as error:
                    if not (self._reconnects and seen):
                        raise
                    trouble = str(error)
                if trouble != said:
                    said = trouble
                    self._on_note(f"{trouble} Trying again, until Ctrl-C.")
                self._wait(self._closed, wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
        except BaseException as error:  # handed over, whatever it is
            self._error = error
        finally:
            with self._changed:
                self._closed.set()
                self._changed.notify()


def live(
    camera: str,
    *,
    on_note: Callable[[str], object] = lambda sentence: None,
    clock: Callable[[], float] = time.monotonic,
) -> Newest:
    """Return the newest frames of a camera, a stream or a clip.

    Args:
        camera: "0" and so on: a camera of this machine; an address such as rtsp://…; or a clip, played at its own
            speed.
        on_note: Told when a camera or a stream is gone, and when it is back.
        clock: Seconds. Frames of a camera or a stream get those since it was opened first.

    Raises:
        InputError: It is none of these.
    """
    began_s = clock()

    def since() -> float:
        return clock() - began_s

    if camera.isdecimal():
        return Newest(lambda: _camera_frames(int(camera), since), reconnects=True, on_note=on_note)
    if "://" in camera:
        return Newest(lambda: _stream_frames(camera, since), reconnects=True, on_note=on_note)
    if not is_clip(Path(camera)):
        raise InputError(f"{camera} is no camera; give a number such as 0, an address such as rtsp://…, or a clip.")
    check_file(Path(camera))
    return Newest(lambda: _paced(frames(Path(camera)), clock), reconnects=False)


def _camera_frames(number: int, clock: Callable[[], float]) -> Iterator[Frame]:
    import cv2

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # the sentence below says it
    try:
        capture = cv2.VideoCapture(number)
    except cv2.error:  # no number that a camera can have
        raise InputError(f"Camera {number} cannot be opened; is it connected, and free?") from None
    try:
        if not capture.isOpened():
            raise InputError(f"Camera {number} cannot be opened; is it connected, and free?")
        index = 0
        while True:
            good, image = capture.read()
            if not good:
                raise InputError(f"Camera {number} gives no more pictures; is it still connected?")
            yield Frame(np.asarray(image, np.uint8), source=f"camera {number}", index=index, time_s=clock())
            index += 1
    finally:
        capture.release()


def _stream_frames(address: str, clock: Callable[[], float]) -> Iterator[Frame]:
    import av

    try:
        with av.open(address, timeout=SILENCE_S, metadata_errors="replace") as container:
            if not container.streams.video:
                raise InputError(f"{address} has no video stream; name one with pictures.")
            stream, index = container.streams.video[0], 0
            for packet in container.demux(stream):
                try:
                    decoded = packet.decode()
                except av.InvalidDataError:  # a stream that is joined in its middle begins so
                    continue
                for frame in decoded:
                    if frame.is_corrupt:  # grey and smears may hide the face
                        continue
                    image = upright(frame, stream.sample_aspect_ratio)
                    yield Frame(image, source=address, index=index, time_s=clock())
                    index += 1
    except av.FFmpegError as error:
        raise InputError(f"{address} cannot be read ({error.strerror}); check the address and the network.") from error


def _paced(clip: Iterator[Frame], clock: Callable[[], float]) -> Iterator[Frame]:
    """Yield a clip's frames when their time has come."""
    began_s, before_s = 0.0, math.inf
    for frame in clip:
        time_s = frame.time_s or 0.0
        if time_s < before_s:  # a clip need not begin at 0, and one that was joined may begin its times anew
            began_s = clock() - time_s
        before_s = time_s
        time.sleep(max(0.0, began_s + time_s - clock()))
        yield frame


class LiveReader:
    """Reads live frames: tracked, and smoothed over the recent past, half the window late at most."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._finder = reader.finder()
        self._smoother = Smoother(reader.smooth_s)
        self._seen_s: dict[int | None, float] = {}  # of each track

    def read(self, frame: Frame) -> FrameReading:
        """Return the faces of the next frame."""
        (reading,) = self._reader.classify([self._finder.find(frame)])
        now_s, late_s = reading.time_s or 0.0, self._reader.smooth_s / 2
        recent = {track: seen_s for track, seen_s in self._seen_s.items() if now_s - seen_s < late_s}
        # The window ends now, where its weight is 0. Centred further back than the face was last seen, on a machine
        # that is slow or after a blink of the detector, it would say what that face showed then.
        for face in reading.faces:
            if face.track not in recent:
                self._smoother.forget(face.track)
        self._seen_s = recent | {face.track: now_s for face in reading.faces}
        self._smoother.add(reading)
        return self._smoother.steady(reading, centre_s=now_s - late_s)
