from dataclasses import replace
from pathlib import Path

import pytest

from mien import weights
from mien.errors import ModelError, WeightsError
from mien.files import sha256
from mien.weights import PINNED, add, at_hand, fetch, home, model_path


def _pin(monkeypatch: pytest.MonkeyPatch, url: str, digest: str) -> None:
    monkeypatch.setitem(weights.PINNED, "yunet", replace(PINNED["yunet"], url=url, sha256=digest))


def test_a_download_is_said_checked_and_kept(
    served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, address = served
    (folder / "net.onnx").write_bytes(b"weights")
    _pin(monkeypatch, f"{address}/net.onnx", sha256(folder / "net.onnx"))
    path = fetch("yunet")
    assert path.read_bytes() == b"weights"
    assert f"from {address}/net.onnx" in capsys.readouterr().err
    (folder / "net.onnx").unlink()
    assert fetch("yunet") == path, "the second time nothing is downloaded"
    assert capsys.readouterr().err == ""


def test_a_download_with_another_hash_is_refused(
    served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, own_home: Path
) -> None:
    folder, address = served
    (folder / "net.onnx").write_bytes(b"something else")
    _pin(monkeypatch, f"{address}/net.onnx", "0" * 64)
    with pytest.raises(WeightsError, match="has another SHA-256 than the pinned one"):
        fetch("yunet")
    assert at_hand("yunet") is None
    assert not own_home.exists() or not list(own_home.iterdir())


def test_a_server_that_does_not_answer(served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    _pin(monkeypatch, f"{served[1]}/missing.onnx", "0" * 64)
    with pytest.raises(WeightsError, match="mien weights add face_detection_yunet_2023mar.onnx"):
        fetch("yunet")


def test_a_wrong_proxy_is_not_taken_for_a_wrong_file(
    served: tuple[Path, str], own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _pin(monkeypatch, "http://mien.invalid/x.onnx", "0" * 64)
    monkeypatch.setenv("HTTP_PROXY", "http://")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(WeightsError, match="Could not download"):
        fetch("yunet")


def test_a_file_added_by_hand_is_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_home: Path) -> None:
    file = tmp_path / "downloaded"
    file.write_bytes(b"weights")
    _pin(monkeypatch, "http://127.0.0.1:1/", sha256(file))
    assert at_hand("yunet") is None
    assert add(file) == "yunet"
    assert at_hand("yunet") == own_home / "face_detection_yunet_2023mar.onnx"


def test_an_unknown_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "downloaded"
    file.write_bytes(b"other")
    with pytest.raises(WeightsError, match="none of the files mien knows"):
        add(file)
    with pytest.raises(WeightsError, match="There is no file"):
        add(tmp_path / "missing")
    assert at_hand("yunet") is None


def test_the_pinned_sum_is_that_of_the_real_file(shared: Path) -> None:
    assert add(shared / "models" / "face_detection_yunet_2023mar.onnx") == "yunet"


def test_an_unknown_model_lists_the_near_ones(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model 'mien-x'; did you mean mien-xs or mien-s "):
        model_path("mien-x")
    with pytest.raises(ModelError, match="no model file"):
        model_path(tmp_path / "missing.onnx")


def test_a_damaged_file_is_not_used_and_fetched_anew(served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, address = served
    file = folder / "net.onnx"
    file.write_bytes(b"weights")
    _pin(monkeypatch, f"{address}/net.onnx", sha256(file))
    add(file)
    path = at_hand("yunet")
    assert path is not None
    path.write_bytes(b"wei")
    with pytest.raises(WeightsError, match="is damaged"):
        at_hand("yunet")
    with pytest.raises(WeightsError, match="is damaged"):
        fetch("yunet", offline=True)
    assert fetch("yunet").read_bytes() == b"weights"


def test_a_home_that_one_may_not_enter_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", locked)
    assert at_hand("yunet") is None


def test_a_home_that_cannot_be_made_is_no_fault_of_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MIEN_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(WeightsError, match="Cannot write into .*; mend that, or name another folder"):
        fetch("yunet")


def test_a_home_that_one_may_not_write_to_is_no_fault_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*where: object, **how: object) -> None:
        raise PermissionError("as pooch says it, without a number")

    monkeypatch.setattr("pooch.retrieve", refuse)
    with pytest.raises(WeightsError, match=r"Cannot write into .* \(as pooch says it"):
        fetch("yunet")


def test_an_empty_mien_home_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_HOME", "")
    assert home() != Path()
