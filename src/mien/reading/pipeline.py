"""Stages that overlap: each in a thread of its own, a few items ahead of the next.

OpenCV, onnxruntime and FFmpeg let go of Python's lock while they work, so threads are enough.
"""

import atexit
import threading
from collections.abc import Generator, Iterator
from queue import Empty, Full, Queue
from typing import TypeVar

Item = TypeVar("Item")

AHEAD = 4  # items between two stages: enough to even out, few enough for pictures of 4K
LOOK_S = 0.1  # how often a stage that waits looks whether it is still wanted

_under_way: dict[threading.Thread, threading.Event] = {}  # each stage's thread -> set once it is not wanted any more


@atexit.register
def _end_all() -> None:
    """End what a script leaves half read: a thread within FFmpeg or OpenCV when Python goes aborts the process."""
    for unwanted in _under_way.values():
        unwanted.set()
    for thread in list(_under_way):
        thread.join()


class _End:
    """Stands behind the last item; holds what the stage raised."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def ahead(items: Generator[Item, None, None], depth: int = AHEAD) -> Iterator[Item]:
    """Yield the items of a generator that runs in a thread, up to `depth` items ahead.

    What it raises is raised here, after the items before it. Closing this generator closes that one, and its
    thread ends.
    """
    queue: Queue[Item | _End] = Queue(depth)
    unwanted = threading.Event()

    def put(item: Item | _End) -> None:
        while not unwanted.is_set():
            try:
                queue.put(item, timeout=LOOK_S)
                return
            except Full:
                continue

    def get() -> Item | _End:
        while True:
            try:
                return queue.get(timeout=LOOK_S)
            except Empty:
                if unwanted.is_set():
                    return _End(None)

    def work() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                put(item)
                if unwanted.is_set():
                    break
        except BaseException as raised:  # handed over, whatever it is
            error = raised
        finally:
            items.close()
            put(_End(error))

    thread = threading.Thread(target=work, daemon=True)
    _under_way[thread] = unwanted
    thread.start()
    try:
        while not isinstance(item := get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        unwanted.set()
        thread.join()
        _under_way.pop(thread, None)
