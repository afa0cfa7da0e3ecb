"""Faces for the report: of each class those the model got wrong, and right, with the most confidence."""

import base64
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.faceset import FaceSet

FACES_A_ROW = 6


@dataclass(frozen=True, slots=True)
class GalleryFace:
    """One face: its number in the split, what it was called with which probability, and its picture as a data URI."""

    number: int
    called: str
    probability: float
    picture: str


@dataclass(frozen=True, slots=True)
class GalleryRow:
    """The faces of one class: the surest mistakes and the surest right answers, the surest first."""

    label: str
    n: int
    mistakes: tuple[GalleryFace, ...]
    right: tuple[GalleryFace, ...]


def choose_faces(probabilities: NDArray[np.float32], faces: FaceSet) -> tuple[GalleryRow, ...]:
    """Choose the faces to show of (N, K) probabilities."""
    called, confidence = probabilities.argmax(1), probabilities.max(1)
    surest_first = np.argsort(-confidence, kind="stable")

    def chosen(rows: NDArray[np.intp]) -> tuple[GalleryFace, ...]:
        return tuple(
            GalleryFace(row, faces.label_names[called[row]], float(confidence[row]), picture(faces.faces_u8[row]))
            for row in rows[:FACES_A_ROW].tolist()
        )

    found = []
    for k, label in enumerate(faces.label_names):
        members = surest_first[faces.labels[surest_first] == k]
        right = called[members] == k
        found.append(GalleryRow(label, len(members), chosen(members[~right]), chosen(members[right])))
    return tuple(found)


def picture(face_u8: NDArray[np.uint8]) -> str:
    """Return an (S, S) grey or (S, S, 3) RGB face as a PNG in a data URI."""
    _, png = cv2.imencode(".png", np.asarray(face_u8 if face_u8.ndim == 2 else face_u8[:, :, ::-1]))
    return "data:image/png;base64," + base64.b64encode(png.tobytes()).decode()
