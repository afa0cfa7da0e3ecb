import threading
from collections.abc import Generator

import pytest

from mien.reading.pipeline import ahead


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
