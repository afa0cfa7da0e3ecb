"""Make what `mien study run jawade` needs from a FER2013 FaceSet: short clips of near-twins, and production data.

    python examples/clips.py fer2013.faceset OUT [CLIPS]

Jawade's frames are licensed. Here each Training face with one of his six expressions becomes a clip of five frames that
differ as neighbouring frames do: moved by a pixel or two, a little lighter or darker, with other noise. The clips are
divided twice: OUT/by-frame.faceset as the paper does (frames of one clip on both sides), and OUT/by-clip.faceset.
Both hold the same production data: PublicTest's faces in the class balance of the paper's Table 5.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.faceset import GROUP, FaceSet, make_faceset, open_faceset
from mien.data.split import divide
from mien.errors import MienError

SIX = ("angry", "disgust", "fear", "happy", "sad", "surprise")
PRODUCTION = (3427, 1394, 1362, 758, 11939, 7244)  # Jawade, Table 5, samples in the same order
PARTS = {"train": 0.6, "validation": 0.2, "test": 0.2}
FRAMES, SIDE_PX = 5, 96
SHIFT_PX, LIGHT, NOISE = 2.0, 0.05, 3.0  # largest shift and change of light, and the noise's deviation in grey values


def main(faceset: Path, out: Path, clips: int) -> None:
    """Write the two FaceSets."""
    faces, random = open_faceset(faceset), np.random.default_rng(0)
    learnt = _clips(_drawn(faces.split("Training"), _like_the_set(faces.split("Training"), clips), random), random)
    shares = np.array(PRODUCTION) / sum(PRODUCTION)
    other = faces.split("PublicTest")
    production = _clips(_drawn(other, _as_many_as_there_are(other, shares), random), random)
    out.mkdir(exist_ok=True)
    for by, name in (("face", "by-frame"), ("group", "by-clip")):
        _with_production(divide(learnt, PARTS, by=by), production).save(out / f"{name}.faceset")
        print(f"{out / name}.faceset")


def _counts(faces: FaceSet) -> NDArray[np.intp]:
    return np.array([(faces.labels == faces.label_names.index(name)).sum() for name in SIX])


def _like_the_set(faces: FaceSet, clips: int) -> NDArray[np.intp]:
    """Return how many faces of each class to draw: each in proportion."""
    counts = _counts(faces)
    return np.minimum(counts, np.ceil(counts * clips / counts.sum())).astype(int)


def _as_many_as_there_are(faces: FaceSet, shares: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the largest numbers with these shares that the faces allow."""
    return np.floor(np.min(_counts(faces) / shares) * shares).astype(int)


def _drawn(faces: FaceSet, counts: NDArray[np.intp], random: np.random.Generator) -> FaceSet:
    rows = [
        random.permutation(np.flatnonzero(faces.labels == faces.label_names.index(name)))[:count]
        for name, count in zip(SIX, counts.tolist(), strict=True)
    ]
    return faces.take(np.sort(np.concatenate(rows)))


def _clips(faces: FaceSet, random: np.random.Generator) -> FaceSet:
    """Return the frames of a clip of each face, in RGB, each clip a group."""
    frames = [_frame(np.asarray(face), random) for face in faces.faces_u8 for _ in range(FRAMES)]
    codes = {faces.label_names.index(name): code for code, name in enumerate(SIX)}
    labels = np.array([codes[int(label)] for label in faces.labels], np.int8)
    split = faces.split_names[faces.splits[0]]
    return make_faceset(
        name=f"{faces.name} clips",
        faces_u8=np.stack(frames),
        labels=labels.repeat(FRAMES),
        splits=np.zeros(len(frames), np.int8),
        votes=None,
        label_names=SIX,
        split_names=("all",),
        vote_names=(),
        origin=faces.origin,
        attributes={GROUP: np.array([f"{split}-{k:06d}" for k in range(len(faces))]).repeat(FRAMES)},
    )


def _frame(face_u8: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Return (96, 96, 3) of (48, 48)."""
    scale = SIDE_PX / face_u8.shape[0]
    shift = random.uniform(-SHIFT_PX, SHIFT_PX, 2)
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    moved = cv2.warpAffine(face_u8, matrix, (SIDE_PX, SIDE_PX), borderMode=cv2.BORDER_REFLECT)
    lit = moved * random.uniform(1 - LIGHT, 1 + LIGHT) + random.normal(0, NOISE, moved.shape)
    return np.repeat(lit.clip(0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def _with_production(divided: FaceSet, production: FaceSet) -> FaceSet:
    return make_faceset(
        name=divided.name,
        faces_u8=np.concatenate([divided.faces_u8, production.faces_u8]),
        labels=np.concatenate([divided.labels, production.labels]),
        splits=np.concatenate([divided.splits, np.full(len(production), len(PARTS), np.int8)]),
        votes=None,
        label_names=SIX,
        split_names=(*PARTS, "production"),
        vote_names=(),
        origin=divided.origin,
        attributes={GROUP: np.concatenate([divided.attributes[GROUP], production.attributes[GROUP]])},
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make short clips of near-twins, and production data, from FER2013.")
    parser.add_argument("faceset", type=Path, help="folder of FER2013, prepared")
    parser.add_argument("out", type=Path, help="folder for the two FaceSets")
    parser.add_argument("clips", type=int, nargs="?", default=2000, help="how many clips")
    try:
        main(**vars(parser.parse_args()))
    except MienError as error:
        sys.exit(f"clips.py: {error}")
