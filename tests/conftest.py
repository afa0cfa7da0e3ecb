"""What several tests share: the shared data where it is present, a photo, clips, a tiny FaceSet and a tiny run."""

import http.server
import importlib.util
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the command line has it, and before torch is loaded

import av
import numpy as np
import pytest
import torch
from filelock import FileLock
from PIL import Image

from mien.data.faceset import FaceSet, make_faceset, open_faceset
from mien.data.fer2013 import read_fer2013
from mien.labels import EXPRESSIONS, FERPLUS_COLUMNS
from mien.training.recipe_files import load_recipe
from mien.training.run_folder import RunFolder
from mien.training.train import train

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("MIEN_SHARED_DATA", ROOT.parent / "shared" / "data"))
SPLITS = ("Training", "PublicTest", "PrivateTest")


@pytest.fixture
def shared() -> Path:
    """The folder of FER2013, photos and clips; a test that asks for it is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the shared data, which is not at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def fer2013_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The real FER2013 with its votes, prepared once for all processes that test; skips as `shared` does."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the shared data, which is not at {SHARED}")
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "fer2013.faceset"
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            files = SHARED / "fer2013"
            read_fer2013(files / "fer2013.csv.gz", votes=files / "fer2013new.csv").save(folder)
    return folder


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """Give torch the threads back that a study or a candidate took."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep added model files of the machine out of the tests, and the tests' out of the machine."""
    home = tmp_path / "mien-home"
    monkeypatch.setenv("MIEN_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def astronaut() -> Path:
    """NASA's portrait of Eileen Collins, smiling, face at about (177, 66) to (274, 163); ships with scikit-image."""
    spec = importlib.util.find_spec("skimage")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "data" / "astronaut.png"


def drawn_faces(labels: Sequence[int], seed: int = 0) -> np.ndarray:
    """Return (N, 48, 48) uint8 pictures whose class a tiny net can learn: a bright bar at the class's own angle."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[-24:24, -24:24]
    angles = np.pi * np.asarray(labels) / len(EXPRESSIONS) + random.normal(0, 0.05, len(labels))
    distance = np.abs(x * np.sin(angles)[:, None, None] - y * np.cos(angles)[:, None, None])
    return (200 * (distance < 5) + random.integers(0, 50, (len(labels), 48, 48))).astype(np.uint8)


def fer2013_rows(count: int = 70, seed: int = 0) -> list[tuple[str, str, str]]:
    """Return rows (emotion, pixels, Usage) as fer2013.csv has them: mostly Training, the rest the two tests."""
    labels = np.arange(count) % len(EXPRESSIONS)
    usage = [SPLITS[0] if i < count * 3 // 5 else SPLITS[1 + i % 2] for i in range(count)]
    pixels = (" ".join(map(str, face.ravel())) for face in drawn_faces(labels.tolist(), seed))
    return list(zip(map(str, labels.tolist()), pixels, sorted(usage, key=SPLITS.index), strict=True))


@pytest.fixture
def write_fer2013(tmp_path: Path) -> Callable[..., Path]:
    """Write a fer2013.csv of drawn faces; `change` edits its rows first."""

    def write(
        change: Callable[[list[tuple[str, str, str]]], object] = lambda rows: None,
        header: str = "emotion,pixels,Usage",
        name: str = "fer2013.csv",
    ) -> Path:
        rows = fer2013_rows()
        change(rows)
        path = tmp_path / name
        path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n")
        return path

    return write


def write_votes(path: Path, usages: Sequence[str]) -> Path:
    """Write a fer2013new.csv: ten votes a face, all for its second column."""
    lines = [f"{usage},fer{i:07d}.png,0,10,0,0,0,0,0,0,0,0" for i, usage in enumerate(usages)]
    path.write_text("\n".join([f"Usage,Image name,{','.join(FERPLUS_COLUMNS)}", *lines]) + "\n")
    return path


def drawn_faceset(count: int = 210, seed: int = 0) -> FaceSet:
    """Return a FaceSet of drawn faces, two thirds of them Training."""
    labels = (np.arange(count) % len(EXPRESSIONS)).astype(np.int8)
    splits = np.repeat(np.array([0, 1, 2], np.int8), [count * 2 // 3, count // 6, count - count * 2 // 3 - count // 6])
    return make_faceset(
        name="drawn",
        faces_u8=drawn_faces(labels.tolist(), seed),
        labels=labels,
        splits=splits,
        votes=None,
        label_names=EXPRESSIONS,
        split_names=SPLITS,
        vote_names=(),
        origin=("conftest.py",),
    )


@pytest.fixture(scope="session")
def faceset_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a FaceSet of drawn faces."""
    folder = tmp_path_factory.mktemp("data") / "drawn.faceset"
    drawn_faceset().save(folder)
    return folder


@pytest.fixture(scope="session")
def faceset(faceset_folder: Path) -> FaceSet:
    """The same, opened."""
    return open_faceset(faceset_folder)


# No flip: the drawn classes are angles, and a mirror would turn one class into another.
TINY = (
    "network=mien-tiny",
    "name=tiny",
    "epochs=12",
    "batch_size=35",
    "ema_decay=0.9",
    "augmentation.flip=false",
    "precision=fp32",
)
# No batch norm, no draws: a step is its gradient alone.
PLAIN = (
    *TINY,
    "network={convs: [{out: 8, pool: 4}], affines: [{out: 16}]}",
    "ema_decay=0",
    "augmentation={flip: none, shift_px: 0, rotation_deg: 0, zoom: 0, brightness: 0, contrast: 0}",
    "optimiser={name: sgd, lr: 0.1, momentum: 0, weight_decay: 0}",
    "schedule={name: constant, warmup: 0}",
    "epochs=1",
)


@pytest.fixture(scope="session")
def tiny_run(faceset_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished run of the tiny net on drawn faces."""
    return train(load_recipe("mien-s", TINY), data=faceset_folder, out=tmp_path_factory.mktemp("runs"))


def write_clip(path: Path, images: Sequence[np.ndarray], times_ms: Sequence[int]) -> Path:
    """Write RGB images as an H.264 clip, each with its own timestamp."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", options={"crf": "18"})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for image, time_ms in zip(images, times_ms, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_long_clip(path: Path, *, seconds: int = 3) -> Path:
    """Seconds of noise, a keyframe each half, its index first."""
    random = np.random.default_rng(0)
    with av.open(path, "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=20, options={"g": "10", "bf": "2"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(20 * seconds):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(random.integers(0, 255, (48, 64, 3), np.uint8))))
        container.mux(stream.encode(None))
    return path


def write_mpeg(path: Path) -> Path:
    """Two seconds of noise as MPEG-2, parts of which can be joined end to end."""
    random = np.random.default_rng(0)
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(50):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(random.integers(0, 255, (48, 64, 3), np.uint8))))
        container.mux(stream.encode(None))
    return path


def break_a_packet(path: Path) -> None:
    """Put zeros in place of a packet in the middle of a clip."""
    with av.open(path) as container:
        packet = [packet for packet in container.demux(video=0) if packet.pos is not None][31]
        place, size = packet.pos, packet.size
    content = bytearray(path.read_bytes())
    content[place : place + size] = bytes(size)
    path.write_bytes(content)


CLIP_TIMES_MS = (0, 40, 130, 150, 400)


@pytest.fixture(scope="session")
def clip(astronaut: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of five frames at irregular times: a face in all but the third, which is blank."""
    face = np.asarray(Image.open(astronaut).convert("RGB"))[:320, 64:384]
    images = [face, face, np.full_like(face, 90), face, face]
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", images, CLIP_TIMES_MS)


@pytest.fixture
def mien(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process: mien("read", "x.jpg") -> exit code, stdout, stderr."""
    from mien.apps.cli.main import main

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["mien", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder served over HTTP on this machine, and its address."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *args: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def browser() -> Iterator[object]:
    """A real browser; a test that asks for it is skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright to steer a browser")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs chromium, which is not on this machine")
    with playwright.sync_playwright() as steering:
        running = steering.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield running
        running.close()
