"""Other recognisers and ours on the same faces, side by side in one run: how often right, how fast, how large.

    python benchmarks/peers.py FACESET [--models FILE...] [--envs DIR] [--install] [--constraint FILE]
                               [--split PublicTest] [--i-know] [--rounds 15]

Contenders: the bundled models; ONNX files with a card given by --models (mini-XCEPTION and big-XCEPTION, say: `mien
train mini-xception`, then `mien export`); a linear support vector machine on HOG, trained here on Training; and `fer`.
Each runs in a process of its own (peer.py) and is asked about the same 48x48 crops, one thread each, by turns.

--install makes an environment for each in DIR, by pip alone, and says before what it takes; --constraint is pip's.
Without one, ours and HOG run in this environment, whose size means nothing, and `fer` is "not available here". Peers
that would fetch their weights from elsewhere always are. Look at times on a quiet machine.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from rich.console import Console
from rich.table import Column, Table

from mien.classifier import Classifier
from mien.data.faceset import FaceSet, open_faceset
from mien.data.split import PRIVATE_TEST, is_private_test
from mien.errors import DataError, MienError, ModelError
from mien.evaluation.metrics import Evaluation, score
from mien.evaluation.private_log import check_log, log_look
from mien.files import sha256
from mien.labels import expression_named
from mien.preprocess import InputSpec
from mien.weights import bundled_models

PEER = Path(__file__).with_name("peer.py")
ROOT = Path(__file__).parents[1]
CROP = InputSpec(face_px=48, view_px=48, channels=1, mean=(0.0,), std=(1.0,))
BATCH, CALLS = 64, {1: 20, 64: 2}
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"} | {
    f"TF_NUM_{kind}_THREADS": "1" for kind in ("INTRAOP", "INTEROP")
}
# What pip is to install, and what that takes, about: for `fer` as seen with the CUDA build of PyTorch that it asks for.
# It imports pkg_resources, which newer setuptools have not.
ENVIRONMENTS = {
    "mien": ((str(ROOT),), "0.5 GB"),
    "hog": (("scikit-image", "scikit-learn"), "0.4 GB"),
    "fer": (("fer==25.10.3", "setuptools<81"), "7.8 GB, or 3.7 GB where --constraint names a CPU build of torch"),
}
FETCH_THEIR_WEIGHTS = ("deepface", "py-feat", "rmn", "EmotiEffLib")
console = Console(stderr=True, highlight=False)


@dataclass
class Contender:
    """Something to be judged, and what was found about it.

    Attributes:
        name: Its name in the table.
        kind: What peer.py calls it, and its environment.
        arguments: Of peer.py.
        python: Who runs it; None if it is not available here.
        installed: Bytes of its own environment; None if it has none.
        why_not: What kept it from running.
        starts_s: Cold starts: from the shell to the first answer.
        resident_mb: Its memory after that, each time.
        seconds: By size of batch, each round's median of a call.
        evaluation: How often it is right.
    """

    name: str
    kind: str
    arguments: tuple[str, ...]
    python: Path | None
    installed: int | None
    why_not: str = "not available here"
    starts_s: list[float] = field(default_factory=list)
    resident_mb: list[float] = field(default_factory=list)
    seconds: dict[int, list[float]] = field(default_factory=lambda: {batch: [] for batch in CALLS})
    evaluation: Evaluation | None = None


@dataclass
class Peer:
    """A running process of peer.py, what it said of itself, and the seconds from the shell to its first answer."""

    process: "subprocess.Popen[str]"
    about: dict[str, Any]
    start_s: float

    def ask(self, **question: object) -> Any:
        """Return its answer to a line of JSON."""
        return _exchange(self.process, json.dumps(question) + "\n")


def _exchange(process: "subprocess.Popen[str]", line: str = "") -> Any:
    """Return what a process says next, after it was told a line."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(line)
        process.stdin.flush()
        return json.loads(process.stdout.readline())
    except (BrokenPipeError, json.JSONDecodeError) as error:
        raise ModelError("A contender ended without an answer.") from error


@contextmanager
def started(contender: Contender, errors: IO[str]) -> Iterator[Peer]:
    """Start a contender, and end it afterwards."""
    environment = os.environ | ONE_THREAD
    if contender.installed is not None:
        environment.pop("PYTHONPATH", None)  # nothing but what was installed there
    command = [str(contender.python), str(PEER), contender.kind, *contender.arguments]
    began = time.perf_counter()
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
    )
    try:
        about = _exchange(process)
        yield Peer(process, about, time.perf_counter() - began)
    finally:
        process.kill()
        process.communicate()


def contenders(models: list[Path], envs: Path | None, hog_file: Path) -> list[Contender]:
    ours = [("mien", name, (name,)) for name in bundled_models()]
    given = [("mien", file.stem, (str(file.resolve()),)) for file in models]
    others = [("hog", "HOG + linear SVM", (str(hog_file),)), ("fer", "fer 25.10.3", ())]
    found = []
    for kind, name, arguments in (*ours, *given, *others):
        folder = envs / kind if envs and (envs / kind / "installed.txt").is_file() else None
        python = folder / "bin" / "python" if folder else None if kind == "fer" else Path(sys.executable)
        found.append(Contender(name, kind, arguments, python, _bytes_of(folder) if folder else None))
    return found


def install(envs: Path, constraint: Path | None) -> None:
    """Make the environments that are missing, each with what it asks for and nothing else, not even pip."""
    envs.mkdir(parents=True, exist_ok=True)
    for name, (wanted, size) in ENVIRONMENTS.items():
        folder = envs / name
        if (folder / "installed.txt").is_file():
            continue
        console.print(f"{folder}: installing {' '.join(wanted)}, which takes about {size} …")
        pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--quiet"]
        limits = ["--constraint", str(constraint)] if constraint else []
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(folder)], check=True)
            subprocess.run([*pip, *limits, *wanted], check=True)
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, subprocess.CalledProcessError):
                raise DataError(f"Could not install {' '.join(wanted)}; pip said why, above.") from error
            raise
        # Written last: an environment without it is not whole, and is made again.
        under = f", under {' '.join(constraint.read_text().split())}" if constraint else ""
        (folder / "installed.txt").write_text(f"{' '.join(wanted).replace(str(ROOT), 'mien')}{under}\n")


def _bytes_of(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def train_hog(contender: Contender, everything: FaceSet, file: Path) -> None:
    training = everything.split("Training")
    np.save(file.with_name("train-faces.npy"), training.faces_u8)
    np.save(file.with_name("train-labels.npy"), np.array(training.label_names)[training.labels])
    inputs = [str(file.with_name(f"train-{what}.npy")) for what in ("faces", "labels")]
    subprocess.run([str(contender.python), str(PEER), "train-hog", *inputs, str(file)], check=True)


def judge(contender: Contender, peer: Peer, faces: FaceSet, split: str, work: Path) -> None:
    """Score a contender on the faces; a look at PrivateTest is logged."""
    peer.ask(do="answer", faces=str(work / "faces.npy"), out=str(work / "answers.npy"))
    known = [expression_named(label) for label in peer.about["labels"]]
    if missing := [name for name in faces.label_names if name not in known]:
        raise ModelError(f"It does not know {', '.join(missing)}.")
    probabilities = np.load(work / "answers.npy")[:, [known.index(name) for name in faces.label_names]]
    contender.evaluation = score(
        probabilities / probabilities.sum(1, keepdims=True),
        faces.labels,
        faces.label_names,
        model=contender.name,
        data=faces.name,
        split=split,
        views=1,
    )
    if is_private_test(faces.name, split):
        provenance = Classifier(contender.arguments[0]).card.provenance if contender.kind == "mien" else None
        log_look(contender.evaluation, provenance, model_sha256=sha256(Path(peer.about["weights"])))


def run(everyone: list[Contender], faces: FaceSet, split: str, rounds: int, work: Path) -> None:
    """Start each several times, judge each, time each in turn; who fails is noted, and the others go on."""
    with (work / "errors.txt").open("w") as errors, ExitStack() as open_peers:
        running = [contender for contender in everyone if contender.python]
        judged: list[tuple[Contender, Peer]] = []
        for turn in range(rounds + 1):
            for contender in list(running):
                try:
                    with started(contender, errors) as peer:
                        if turn:  # the first is from cold disks
                            contender.starts_s.append(peer.start_s)
                            contender.resident_mb += [peer.about["mb"]] if peer.about["mb"] else []
                except ModelError:
                    contender.why_not = f"could not be run: {_last_line(work / 'errors.txt')}"
                    running.remove(contender)
        console.print(f"started {rounds + 1} times: {len(running)} contenders", style="dim")
        for contender in running:
            try:
                peer = open_peers.enter_context(started(contender, errors))
                judge(contender, peer, faces, split, work)
                judged.append((contender, peer))
            except ModelError as error:
                contender.why_not = f"could not be run: {error}"
            console.print(f"judged: {contender.name}", style="dim")
        for batch, calls in CALLS.items():
            for _ in range(rounds):
                for contender, peer in judged:
                    taken = peer.ask(do="time", faces=str(work / "batch.npy"), batch=batch, calls=calls)
                    contender.seconds[batch].append(statistics.median(taken))
            console.print(f"timed: batches of {batch}", style="dim")


def _last_line(file: Path) -> str:
    return (file.read_text().strip().splitlines() or ["it said nothing"])[-1]


def table(everyone: list[Contender], split: str, n: int, rounds: int) -> Table:
    columns = ("macro F1", "a face, ms", "faces/s", "resident", "cold start", "installed")
    names = (Column(name, no_wrap=True) for name in ("contender", "accuracy"))
    shown = Table(*names, *columns, title=f"{split}, n = {n:,}; {platform.machine()}, {os.cpu_count()} cores")
    shown.caption = (
        f"± is one standard error; one thread; a face: batch 1; faces/s: batch {BATCH}; medians of {rounds} rounds by "
        f"turns; cold start: a process from shell to first answer; resident: its memory after that answer"
    )
    for one in everyone:
        found = one.evaluation
        if found is None:
            shown.add_row(one.name, one.why_not)
            continue
        shown.add_row(
            one.name,
            f"{100 * found.accuracy:.1f} ± {100 * found.standard_error:.1f} %",
            f"{100 * found.macro.f1:.1f}",
            f"{1000 * statistics.median(one.seconds[1]):.2f}",
            f"{BATCH / statistics.median(one.seconds[BATCH]):,.0f}",
            f"{statistics.median(one.resident_mb):.0f} MB" if one.resident_mb else "not measured",
            f"{statistics.median(one.starts_s):.2f} s",
            f"{one.installed / 1e6:,.0f} MB" if one.installed else "not measured",
        )
    for name in FETCH_THEIR_WEIGHTS:
        shown.add_row(name, "not available here")
    return shown


def beside_fer(everyone: list[Contender]) -> Iterator[str]:
    """Yield how each bundled model stands to `fer`, where that ran."""
    fer = next(one for one in everyone if one.kind == "fer")
    for one in everyone:
        if fer.evaluation is None or one.evaluation is None or one.name not in bundled_models():
            continue
        gain = 100 * (one.evaluation.accuracy - fer.evaluation.accuracy)
        start = statistics.median(fer.starts_s) / statistics.median(one.starts_s)
        size = f"1/{fer.installed / one.installed:.1f}" if fer.installed and one.installed else "not measured"
        yield f"{one.name} beside {fer.name}: {gain:+.1f} points, install {size}, cold start 1/{start:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faceset", type=Path)
    parser.add_argument("--models", type=Path, nargs="+", default=[], metavar="FILE")
    parser.add_argument("--envs", type=Path, metavar="DIR")
    parser.add_argument("--install", action="store_true")
    parser.add_argument("--constraint", type=Path, metavar="FILE")
    parser.add_argument("--split", default="PublicTest")
    parser.add_argument("--i-know", action="store_true")
    parser.add_argument("--rounds", type=int, default=15)
    try:
        compare(parser.parse_args())
    except MienError as error:
        print(f"peers: {error}", file=sys.stderr)
        raise SystemExit(2) from error


def compare(arguments: argparse.Namespace) -> None:
    split = arguments.split
    if arguments.install and not arguments.envs:
        raise DataError("--install makes environments in a folder; name it with --envs.")
    everything = open_faceset(arguments.faceset)
    private = is_private_test(everything.name, split)
    if private and not arguments.i_know:
        raise DataError(f"Comparing on {PRIVATE_TEST} amounts to choosing by it; say --i-know: each look is logged.")
    everything.check_fits(CROP, "The comparison")
    faces = everything.split(split)
    for file in arguments.models:
        Classifier(file)  # a wrong one is said now, and not after an hour
    if private:
        check_log()
    if arguments.install:
        install(arguments.envs, arguments.constraint)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        np.save(work / "faces.npy", faces.faces_u8)
        np.save(work / "batch.npy", faces.faces_u8[np.arange(BATCH) % len(faces)])
        everyone = contenders(arguments.models, arguments.envs, work / "hog.pickle")
        train_hog(next(one for one in everyone if one.kind == "hog"), everything, work / "hog.pickle")
        run(everyone, faces, split, arguments.rounds, work)
    Console(width=120).print(table(everyone, split, len(faces), arguments.rounds))
    for sentence in beside_fer(everyone):
        print(sentence)
    for name in ENVIRONMENTS if arguments.envs else ():
        if (made := arguments.envs / name / "installed.txt").is_file():
            print(f"environment {name}: {made.read_text().strip()}")


if __name__ == "__main__":
    main()
