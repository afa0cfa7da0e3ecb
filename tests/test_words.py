import pytest

from mien.words import counted


@pytest.mark.parametrize(("n", "text"), [(0, "0 faces"), (1, "1 face"), (2, "2 faces"), (3589, "3,589 faces")])
def test_one_face_is_not_faces(n: int, text: str) -> None:
    assert counted(n, "face") == text
