import pytest

from mien.words import counted, whole_percent


@pytest.mark.parametrize(("n", "text"), [(0, "0 faces"), (1, "1 face"), (2, "2 faces"), (3589, "3,589 faces")])
def test_one_face_is_not_faces(n: int, text: str) -> None:
    assert counted(n, "face") == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0%"), (0.004, "<1%"), (0.006, "1%"), (0.713, "71%"), (0.994, "99%"), (0.997, ">99%"), (1.0, "100%")],
)
def test_what_is_not_certain_is_not_rounded_to_it(share: float, text: str) -> None:
    assert whole_percent(share) == text
