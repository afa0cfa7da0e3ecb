"""FER+: FER2013's faces under the label that more than half of ten voters gave them -> FaceSet.

In: fer2013.csv and fer2013new.csv.  Out: eight classes; faces without a majority for one of them are left out.
Source: Barsoum et al. 2016, section 4; see data/votes.py for the rule, and for the votes as a distribution.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from mien.data.faceset import FaceSet, identified
from mien.data.fer2013 import read_fer2013
from mien.data.preparation import Format, Prepared, Wanted, adapted
from mien.data.votes import NO_MAJORITY, majority
from mien.errors import DataError
from mien.labels import EIGHT_EXPRESSIONS, expression_named


def by_majority(faces: FaceSet) -> tuple[FaceSet, dict[str, int]]:
    """Return the faces that have a majority for one of the eight expressions, labelled by it, and why others have none.

    Raises:
        DataError: The set has no votes.
    """
    winners = majority(faces)
    names = [expression_named(column) for column in faces.vote_names]
    code_of = np.array([EIGHT_EXPRESSIONS.index(name) if name else -1 for name in names], np.int8)
    rows = np.flatnonzero((winners != NO_MAJORITY) & (code_of[winners] >= 0))
    left_out = {"no majority": int((winners == NO_MAJORITY).sum())}
    for column, name in enumerate(names):
        if name is None:
            left_out[f"majority for {faces.vote_names[column]!r}"] = int((winners == column).sum())
    kept = replace(faces.take(rows), name="FER+", labels=code_of[winners[rows]], label_names=EIGHT_EXPRESSIONS)
    return identified(kept), {why: count for why, count in left_out.items() if count}


def _read(source: Path, wanted: Wanted) -> Prepared:
    if wanted.votes is None:
        raise DataError("FER+ needs the voters' file; give fer2013new.csv with --votes.")
    kept, left_out = by_majority(read_fer2013(source, votes=wanted.votes, progress=wanted.progress))
    return adapted(kept, wanted, left_out)


FORMAT = Format(
    name="ferplus",
    about=(
        "FER+ (say --format ferplus and give --votes): FER2013's faces, labelled by more than half of ten voters, "
        "single votes not counted; the votes are kept, so that a recipe can learn from their distribution. Eight "
        "classes, or seven with --labels angry,disgust,fear,happy,sad,surprise,neutral."
    ),
    example="""\
fer2013.csv
    | emotion,pixels,Usage
    | 0,70 80 82 72 … (2,304 grey values),Training
fer2013new.csv
    | Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF
    | Training,fer0000000.png,4,0,0,1,3,2,0,0,0,0""",
    recognises=lambda source: False,  # it is FER2013's file; whoever wants the voters' labels says so
    read=_read,
    takes_votes=True,
)
