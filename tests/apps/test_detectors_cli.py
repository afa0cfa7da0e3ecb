"""`mien detectors`."""

from collections.abc import Callable

Mien = Callable[..., tuple[int, str, str]]


def test_detectors_lists_each_with_its_time_here(mien: Mien) -> None:
    code, out, _ = mien("detectors")
    assert code == 0
    rows = {
        line.split("│")[1].strip(): [cell.strip() for cell in line.split("│")[2:-1]]
        for line in out.split("\n")
        if "│" in line
    }
    assert rows["haar"][0] == "yes"
    assert float(rows["haar"][-1]) > 0
    assert "auto is haar; YuNet finds more faces: mien weights fetch yunet" in out
