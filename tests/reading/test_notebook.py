import re
import sys
from pathlib import Path

import pytest

import mien
from mien.errors import MissingExtraError


def test_faces_show_themselves_in_a_notebook(astronaut: Path) -> None:
    faces = mien.read(astronaut)
    html = faces._repr_html_()
    assert html == faces[0]._repr_html_()
    assert "<b>happy</b>" in html
    assert html.count("<tr>") == 7
    assert html.count("data:image/png;base64,") == 1
    assert not re.search(r"https?://|<script", html), "it loads nothing"
    assert "no face found" in type(faces)()._repr_html_()


def test_a_long_clip_shows_its_first_faces_and_counts_the_others(clip: Path) -> None:
    faces = mien.read(clip)
    many = type(faces)([*faces] * 10)
    assert "and 16 more faces" in many._repr_html_()
    assert many._repr_html_().count("<img") == 24


def test_faces_turn_into_a_table(clip: Path) -> None:
    faces = mien.read(clip)
    frame = faces.to_frame()
    assert list(frame["frame"]) == [0, 1, 3, 4]
    assert list(frame["track"]) == [0, 0, 1, 1], "the blank frame between is a cut"
    assert list(frame["happy"]) == pytest.approx([face.probabilities[3] for face in faces])
    assert faces == list(faces)


def test_a_table_of_no_faces_has_columns(clip: Path, astronaut: Path) -> None:
    none = type(mien.read(clip))().to_frame()
    assert (len(none), list(none["expression"])) == (0, [])
    photo = mien.read(astronaut).to_frame()
    assert list(photo.columns)[: len(none.columns)] == list(none.columns)
    assert photo["time_s"].dtype == mien.read(clip).to_frame()["time_s"].dtype, "also where there is no time"


def test_without_pandas_a_table_says_what_to_install(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faces = mien.read(clip)
    faces.to_frame()  # pyarrow looks for pandas when it is first used, and stumbles over one that is hidden like this
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"pip install -c constraints.txt '.\[pandas\]'"):
        faces.to_frame()
