"""Whether a model calls every face the same."""

import numpy as np
from numpy.typing import NDArray

# A model that calls more than this share of the faces the same has learnt nothing but a class's frequency: maes-lange
# list four such runs of accuracy 0.249373 = 895/3589, which is "happy" for every face of PublicTest.
COLLAPSED_ABOVE = 0.95


def collapsed_to(called: NDArray[np.integer], truth: NDArray[np.integer]) -> int | None:
    """Return the class that nearly all faces are called although fewer are, or None.

    Args:
        called: (N,) class that the model called each face.
        truth: (N,) class that it is.
    """
    most = int(np.bincount(called).argmax())
    enough = COLLAPSED_ABOVE * len(truth)
    return most if (called == most).sum() > enough >= (truth == most).sum() else None
