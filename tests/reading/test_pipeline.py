import subprocess
import sys
import threading
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.reading import pipeline
from mien.reading.pipeline import ahead
from tests.conftest import write_clip


def _count(upto: int, *, closed: list[str], error: Exception | None = None) -> Generator[int, None, None]:
    try:
        yield from range(upto)
        if error:
            raise error
    finally:
        closed.append("closed")


def test_items_come_in_order_from_another_thread() -> None:
    def names() -> Generator[str, None, None]:
        for _ in range(3):
            yield threading.current_thread().name

    assert threading.current_thread().name not in list(ahead(names()))
    assert list(ahead(_count(50, closed=[]))) == list(range(50))


def test_an_error_comes_after_the_items_before_it() -> None:
    seen = []
    with pytest.raises(ValueError, match="broken"):
        for item in ahead(_count(10, closed=[], error=ValueError("broken"))):
            seen.append(item)
    assert seen == list(range(10))


def test_stopping_early_ends_the_threads_and_closes_the_sources() -> None:
    before, closed = set(threading.enumerate()), list[str]()
    stages = ahead(item for item in ahead(_count(10**9, closed=closed)))
    assert next(iter(stages)) == 0
    stages.close()  # type: ignore[attr-defined]
    assert closed == ["closed"]
    assert set(threading.enumerate()) <= before


def test_a_script_may_end_in_the_middle_of_a_clip(astronaut: Path, tmp_path: Path) -> None:
    """Threads that were in FFmpeg or OpenCV when Python went aborted the process."""
    photo = np.asarray(Image.open(astronaut).convert("RGB"))
    clip = write_clip(tmp_path / "clip.mp4", [photo] * 30, range(0, 1200, 40))
    code = (
        "import mien\n"
        f"readings = mien.Reader(detector='haar', search_every_s=0).stream({str(clip)!r})\n"
        "print(next(readings).frame)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")


def test_stages_that_are_left_are_ended_before_python_is() -> None:
    before, closed = set(threading.enumerate()), list[str]()
    stages = ahead(item for item in ahead(_count(10**9, closed=closed)))
    assert next(iter(stages)) == 0
    pipeline._end_all()
    assert closed == ["closed"]
    assert set(threading.enumerate()) <= before
