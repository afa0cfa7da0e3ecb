"""The vocabulary of expressions, and each dataset's codes mapped onto it.

This is the one home of label order. Everything else (a FaceSet, a model card, a reading) carries
its labels by name, so that two files can never disagree about what class 3 means.
"""

# FER2013's own order: the `emotion` column holds the index into this tuple (Goodfellow et al. 2013).
EXPRESSIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")

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
