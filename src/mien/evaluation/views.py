"""Test-time views: the same face seen ten ways, and the probabilities averaged (Krizhevsky et al. 2012, section 4.1).

Works on faces, before the network's own preprocessing, so that it serves every classifier alike.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelError
from mien.preprocess import InputSpec

VIEW_COUNTS = (1, 2, 10)  # as it is; and mirrored; both at the centre and at the four corners of the crop
CORNERS = ((-1, -1), (-1, 1), (1, -1), (1, 1))


def check_views(count: int, spec: InputSpec, who: str) -> None:
    """Raise ModelError unless there are so many views, and a network has them; `who` names it."""
    if count not in VIEW_COUNTS:
        raise ModelError(f"There are no {count} views; choose one of {', '.join(map(str, VIEW_COUNTS))}.")
    if count == 10 and _margin(spec) == 0:
        raise ModelError(f"{who} sees the whole face crop, so it has no corners to look at; choose 1 or 2 views.")


def views(faces_u8: NDArray[np.uint8], spec: InputSpec, count: int) -> Iterator[NDArray[np.uint8]]:
    """Yield the faces as each of `count` views has them.

    Args:
        faces_u8: (N, face_px, face_px[, 3]).
        spec: The network's input; the centre of what is yielded is what the network will see.
        count: One of `VIEW_COUNTS`.
    """
    margin = _margin(spec)
    places = ((0, 0), *CORNERS) if count == 10 else ((0, 0),)
    for down, right in places:
        # Moving the picture up shows the network what lies below: its window stays where it is.
        moved = np.roll(faces_u8, (-down * margin, -right * margin), axis=(1, 2))
        yield moved
        if count > 1:
            yield moved[:, :, ::-1]


def _margin(spec: InputSpec) -> int:
    return (spec.face_px - spec.view_px) // 2
