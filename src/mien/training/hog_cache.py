"""HOG of faces by scikit-image, computed once and kept with the FaceSet.

In: faces and the view of them that a network sees.  Out: (N, F) float32, the same that models/hog.py computes inside
the network. Where a face is shown as it is or mirrored, two of them are all that training ever needs.

    fer2013.faceset/
      hog-3f9c0d5a1b2e.npy   (N, F) float32; the name is the hash of the pixels
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.feature import hog
from torch import Tensor

from mien.data.faceset import FaceSet
from mien.errors import OutputError
from mien.files import written_beside
from mien.models.hog import BLOCK_CELLS, CELL_PX, ORIENTATIONS
from mien.preprocess import InputSpec, centred_view
from mien.words import counted


def hog_of(faces: FaceSet, spec: InputSpec, folder: Path, announce: Callable[[str], None]) -> Tensor:
    """Return the HOG of each face's view, (N, F), from the FaceSet's folder if it is there."""
    return torch.from_numpy(_kept(_view(faces, spec), folder, announce))


def hog_of_looks(faces: FaceSet, spec: InputSpec, folder: Path, announce: Callable[[str], None]) -> Tensor:
    """Return the HOG of each face's view and of its mirror, (2, N, F), from the FaceSet's folder if it is there."""
    view = _view(faces, spec)
    mirrored = np.ascontiguousarray(view[:, :, ::-1])
    return torch.from_numpy(np.stack([_kept(view, folder, announce), _kept(mirrored, folder, announce)]))


def _view(faces: FaceSet, spec: InputSpec) -> NDArray[np.uint8]:
    return np.ascontiguousarray(faces.faces_u8[:, *(centred_view(spec),) * 2])


def _kept(view_u8: NDArray[np.uint8], folder: Path, announce: Callable[[str], None]) -> NDArray[np.float32]:
    content = hashlib.blake2b(repr((view_u8.shape, ORIENTATIONS, CELL_PX, BLOCK_CELLS)).encode())
    content.update(view_u8.tobytes())
    path = folder / f"hog-{content.hexdigest()[:12]}.npy"
    if path.is_file():
        kept: NDArray[np.float32] = np.load(path)
        return kept
    announce(f"computing HOG of {counted(len(view_u8), 'face')}, once for all trainings on {folder}")
    computed = _computed(view_u8)
    try:
        with written_beside(path) as beside:
            np.save(beside, computed)
    except OutputError:
        pass  # a FaceSet that is read-only, or has moved: computed once for this run alone
    return computed


def _computed(view_u8: NDArray[np.uint8]) -> NDArray[np.float32]:
    cell, block = (CELL_PX,) * 2, (BLOCK_CELLS,) * 2
    colour = -1 if view_u8.ndim == 4 else None
    rows = [hog(face, ORIENTATIONS, cell, block, block_norm="L2-Hys", channel_axis=colour) for face in view_u8]
    return np.stack(rows).astype(np.float32)
