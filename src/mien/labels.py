"""The vocabulary of expressions, and each dataset's codes mapped onto it.

This is the one home of label order. Everything else (a FaceSet, a model card, a reading) carries
its labels by name, so that two files can never disagree about what class 3 means.
"""

from collections.abc import Mapping

# FER2013's own order: the `emotion` column holds the index into this tuple (Goodfellow et al. 2013).
EXPRESSIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")

# The eighth expression, which FER+ and AffectNet have and FER2013 has not.
CONTEMPT = "contempt"
EIGHT_EXPRESSIONS = (*EXPRESSIONS, CONTEMPT)

# What the datasets call the same expressions.
_SYNONYMS = {
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "happiness": "happy",
    "sadness": "sad",
    "surprised": "surprise",
}

# What datasets call a face that shows none of these: left out of a FaceSet, and counted.
NO_EXPRESSION = frozenset({"none", "uncertain", "unknown", "no-face", "nf", "other"})

# RAF-DB's list_patition_label.txt counts from 1 (Li, Deng & Du 2017).
RAFDB_CODES = {
    "1": "surprise",
    "2": "fear",
    "3": "disgust",
    "4": "happy",
    "5": "sad",
    "6": "angry",
    "7": "neutral",
}

# AffectNet's column `expression` (Mollahosseini et al. 2017).
AFFECTNET_CODES = {
    "0": "neutral",
    "1": "happy",
    "2": "sad",
    "3": "surprise",
    "4": "fear",
    "5": "disgust",
    "6": "angry",
    "7": CONTEMPT,
    "8": "none",
    "9": "uncertain",
    "10": "no-face",
}

# What a reading says when a calibrated model is less sure than its card asks for.
UNSURE = "unsure"

# Columns of fer2013new.csv, in file order (Barsoum et al. 2016). Ten voters looked at each face;
# "NF" counts those who saw no face in it.
FERPLUS_COLUMNS = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "NF",
)


def expression_named(name: str) -> str | None:
    """Return our name for an expression that a dataset calls `name`, in any case; None for what is no expression."""
    known = class_named(name)
    return known if known in EIGHT_EXPRESSIONS else None


def class_named(name: str) -> str | None:
    """Return the same, or the word itself if it is in NO_EXPRESSION; None for a name that means nothing to us."""
    plain = name.strip().lower()
    known = _SYNONYMS.get(plain, plain)
    return known if known in EIGHT_EXPRESSIONS or known in NO_EXPRESSION else None


def listed(codes: Mapping[str, str]) -> str:
    """Return a dataset's codes for people to read: "1=surprise 2=fear"."""
    return " ".join(f"{code}={name}" for code, name in codes.items())
