"""One contender of peers.py, in a process of its own, run by the Python of its own environment.

    python peer.py mien MODEL | fer | hog FILE         (peers.py starts these)
    python peer.py train-hog FACES.npy LABELS.npy FILE

Opens its model, answers about one blank face, and says on stdout, in a line of JSON, its labels, the file of its
weights and the memory it has taken so far. After that it answers lines of JSON on stdin, a line each:

    {"do": "answer", "faces": "IN.npy", "out": "OUT.npy"}     writes probabilities, (N, labels)
    {"do": "time", "faces": "IN.npy", "batch": 64, "calls": 3} -> the seconds of each call

A contender is a function that returns its labels, its weights file, and how to ask it: (N, 48, 48) uint8 grey faces ->
(N, labels). Each imports what it needs and no more, since the imports are part of what is measured.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

BATCH = 64


def mien(model):
    """Return a model file with a card, in mien's own runtime."""
    from mien.classifier import Classifier

    classifier = Classifier(model)
    return classifier.card.labels, classifier.path, classifier.probabilities


def fer():
    """Return the network of `fer`, with the steps that its detect_emotions takes once a face is cut out."""
    import cv2
    from fer.fer import FER

    model = FER()

    def probabilities(faces_u8):
        faces = np.array([cv2.resize(face, (64, 64)) for face in faces_u8], dtype="float32")
        return np.asarray(model._classify_emotions((faces / 255.0 - 0.5) * 2.0))

    labels = model._get_labels()
    import fer

    weights = Path(fer.__file__).parent / "data" / "emotion_model_quantized.tflite"
    return [labels[k] for k in sorted(labels)], weights, probabilities


def hog(file):
    """Return what `train_hog` wrote."""
    import pickle

    from skimage.feature import hog as features

    with Path(file).open("rb") as opened:
        labels, machine = pickle.load(opened)

    def probabilities(faces_u8):
        margins = machine.decision_function(np.array([features(face) for face in faces_u8]))
        powers = np.exp(margins - margins.max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)

    return labels, Path(file), probabilities


def train_hog(faces_file, labels_file, out):
    """Train a linear support vector machine on scikit-image's HOG, both as they come."""
    import pickle

    from skimage.feature import hog as features
    from sklearn.svm import LinearSVC

    named = np.load(labels_file)
    machine = LinearSVC(random_state=0).fit(np.array([features(face) for face in np.load(faces_file)]), named)
    with Path(out).open("wb") as opened:
        pickle.dump((machine.classes_.tolist(), machine), opened)


def resident_mb():
    """Return the memory that this process takes, or None where the system does not say it this way."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmRSS")) / 1000


def seconds_of(ask, faces_u8, calls):
    """Return the seconds of each call, after one that does not count."""
    ask(faces_u8)
    taken = []
    for _ in range(calls):
        started = time.perf_counter()
        ask(faces_u8)
        taken.append(time.perf_counter() - started)
    return taken


def main():
    kind, *arguments = sys.argv[1:]
    if kind == "train-hog":
        train_hog(*arguments)
        return
    said = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a contender prints is not an answer
    labels, weights, ask = {"mien": mien, "fer": fer, "hog": hog}[kind](*arguments)
    ask(np.full((1, 48, 48), 128, np.uint8))
    print(json.dumps({"labels": list(labels), "weights": str(weights), "mb": resident_mb()}), file=said, flush=True)
    for line in sys.stdin:
        wanted = json.loads(line)
        faces_u8 = np.load(wanted["faces"])
        answer = None
        if wanted["do"] == "answer":
            parts = [ask(faces_u8[start : start + BATCH]) for start in range(0, len(faces_u8), BATCH)]
            np.save(wanted["out"], np.concatenate(parts).astype(np.float32))
        else:
            answer = seconds_of(ask, faces_u8[: wanted["batch"]], wanted["calls"])
        print(json.dumps(answer), file=said, flush=True)


if __name__ == "__main__":
    main()
