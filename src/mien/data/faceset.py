"""FaceSet: what every dataset becomes, and its folder on disk.

In: arrays from a dataset's reader.  Out: a folder of .npy files that opens memory-mapped, in no time.

    NAME.faceset/
      faceset.json   name, labels, splits, origin, SHA-256 of the content
      faces.npy      (N, S, S) uint8 grey or (N, S, S, 3) RGB
      labels.npy     (N,) int8, index into labels
      splits.npy     (N,) int8, index into splits
      twins.npy      (N,) int32, the same number for pixel-identical faces
      groups.npy     (N,) int32, the same number for faces that must stay on one side of a split
      votes.npy      (N, columns) uint8, only where voters were asked
      attributes.parquet   what else is known of each face (group, person, age, ...), only where something is
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mien.errors import DataError
from mien.files import as_text, written_beside
from mien.preprocess import InputSpec
from mien.words import counted

ABOUT = "faceset.json"
FORMAT_VERSION = 2
READABLE_VERSIONS = (1, 2)  # version 1 had neither attributes nor groups beyond twins

GROUP = "group"
"""The attribute that names the video, the person or the like that a face comes from; empty where it stands alone."""


@dataclass(frozen=True, slots=True, eq=False)
class FaceSet:
    """Faces with their labels, splits, groups and votes; element i of every array is face i.

    Attributes:
        name: Name of the dataset.
        faces_u8: (N, S, S) grey or (N, S, S, 3) RGB, uint8; may be memory-mapped and read-only.
        labels: (N,) int8, index into `label_names`.
        splits: (N,) int8, index into `split_names`.
        twins: (N,) int32; pixel-identical faces share a number.
        groups: (N,) int32; faces that must stay on one side of a split share a number: twins, faces of one `GROUP`,
            and whatever these tie together.
        votes: (N, len(vote_names)) uint8 counts of voters, or None.
        attributes: For each further thing that is known of the faces, (N,) text, empty where it is not known.
        label_names: Names of the classes.
        split_names: Names of the splits.
        vote_names: What the columns of `votes` stand for.
        origin: File names this was made from.
        sha256: Hash of faces, labels and splits; of the whole set, also in a part taken from it.
    """

    name: str
    faces_u8: NDArray[np.uint8]
    labels: NDArray[np.int8]
    splits: NDArray[np.int8]
    twins: NDArray[np.int32]
    groups: NDArray[np.int32]
    votes: NDArray[np.uint8] | None
    attributes: Mapping[str, NDArray[np.str_]]
    label_names: tuple[str, ...]
    split_names: tuple[str, ...]
    vote_names: tuple[str, ...]
    origin: tuple[str, ...]
    sha256: str

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self.labels)

    @property
    def companions_sha256(self) -> str:
        """Of what may be learnt from or divided by beside faces, labels and splits, which `sha256` is of."""
        content = hashlib.sha256(json.dumps([self.label_names, self.split_names, self.vote_names]).encode())
        content.update(self.groups.tobytes())
        content.update(b"" if self.votes is None else self.votes.tobytes())
        return content.hexdigest()

    def split(self, name: str) -> "FaceSet":
        """Return the faces of one split, in their order; a view where they are contiguous.

        Raises:
            DataError: The set has no such split, or no face in it.
        """
        if name not in self.split_names:
            raise DataError(
                f"{self.name} has no split {name!r}; name one of its splits ({', '.join(self.split_names)}), or make "
                "others with `mien data split`."
            )
        rows = np.flatnonzero(self.splits == self.split_names.index(name))
        if len(rows) == 0:
            raise DataError(f"{self.name} has no face in split {name!r}; `mien data describe` counts them.")
        contiguous = rows[-1] - rows[0] + 1 == len(rows)
        return self.take(slice(int(rows[0]), int(rows[-1]) + 1) if contiguous else rows)

    def check_fits(self, spec: InputSpec, who: str) -> None:
        """Raise DataError unless the faces have the size and channels that a network takes; `who` names it."""
        wanted = (spec.face_px,) * 2 + ((3,) if spec.channels == 3 else ())
        if self.faces_u8.shape[1:] != wanted:
            raise DataError(
                f"{who} takes faces of {wanted}, and {self.name} has {self.faces_u8.shape[1:]}; prepare the faces with "
                f"--size {spec.face_px} --colour {'rgb' if spec.channels == 3 else 'grey'}."
            )

    def take(self, rows: slice | NDArray[np.intp]) -> "FaceSet":
        """Return the faces at `rows`."""
        return replace(
            self,
            faces_u8=self.faces_u8[rows],
            labels=self.labels[rows],
            splits=self.splits[rows],
            twins=self.twins[rows],
            groups=self.groups[rows],
            votes=None if self.votes is None else self.votes[rows],
            attributes={name: values[rows] for name, values in self.attributes.items()},
        )

    def save(self, folder: Path) -> None:
        """Write the set as a folder, beside and then renamed.

        Raises:
            DataError: The folder exists already.
        """
        check_new(folder)
        arrays: dict[str, NDArray[Any]] = {
            "faces": self.faces_u8,
            "labels": self.labels,
            "splits": self.splits,
            "twins": self.twins,
            "groups": self.groups,
        }
        if self.votes is not None:
            arrays["votes"] = self.votes
        about = {
            "version": FORMAT_VERSION,
            "name": self.name,
            "label_names": self.label_names,
            "split_names": self.split_names,
            "vote_names": self.vote_names,
            "origin": self.origin,
            "sha256": self.sha256,
        }
        with written_beside(folder) as beside:
            beside.mkdir()
            for name, array in arrays.items():
                np.save(beside / f"{name}.npy", array)
            if self.attributes:
                columns = {name: pa.array(values.tolist(), pa.string()) for name, values in self.attributes.items()}
                with (beside / "attributes.parquet").open("wb") as file:  # pyarrow takes no path that is not UTF-8
                    pq.write_table(pa.table(columns), file)
            (beside / ABOUT).write_text(json.dumps(about, indent=2) + "\n")


def make_faceset(
    *,
    name: str,
    faces_u8: NDArray[np.uint8],
    labels: NDArray[np.int8],
    splits: NDArray[np.int8],
    votes: NDArray[np.uint8] | None,
    label_names: tuple[str, ...],
    split_names: tuple[str, ...],
    vote_names: tuple[str, ...],
    origin: tuple[str, ...],
    attributes: Mapping[str, NDArray[np.str_]] | None = None,
) -> FaceSet:
    """Return a FaceSet with its twins and its groups found and its content hashed."""
    name, origin = as_text(name), tuple(map(as_text, origin))
    attributes = attributes or {}
    content = hashlib.sha256()
    twin_of: dict[bytes, int] = {}
    twins = np.empty(len(labels), np.int32)
    for row, face in enumerate(faces_u8):
        digest = hashlib.blake2b(face.tobytes(), digest_size=16).digest()
        twins[row] = twin_of.setdefault(digest, len(twin_of))
        content.update(digest)
    content.update(labels.tobytes())
    content.update(splits.tobytes())
    return FaceSet(
        name=name,
        faces_u8=faces_u8,
        labels=labels,
        splits=splits,
        twins=twins,
        groups=_joined(twins, attributes[GROUP]) if GROUP in attributes else twins,
        votes=votes,
        attributes=attributes,
        label_names=label_names,
        split_names=split_names,
        vote_names=vote_names,
        origin=origin,
        sha256=content.hexdigest(),
    )


def identified(faces: FaceSet) -> FaceSet:
    """Return a set that `replace` or `take` has changed with its twins, its groups and its hash found anew."""
    return make_faceset(
        name=faces.name,
        faces_u8=faces.faces_u8,
        labels=faces.labels,
        splits=faces.splits,
        votes=faces.votes,
        label_names=faces.label_names,
        split_names=faces.split_names,
        vote_names=faces.vote_names,
        origin=faces.origin,
        attributes=faces.attributes,
    )


def numbered(group_names: NDArray[np.str_]) -> NDArray[np.int32]:
    """Return the same number for faces of one named group, and a number of its own for each face without a name."""
    numbers = np.unique(group_names, return_inverse=True)[1].ravel().astype(np.int32)
    alone = group_names == ""
    numbers[alone] = numbers.max(initial=0) + 1 + np.arange(alone.sum())
    return numbers


def _joined(twins: NDArray[np.int32], group_names: NDArray[np.str_]) -> NDArray[np.int32]:
    """Return numbers shared by twins and by faces of one named group, and by whatever these tie together."""
    named, together = numbered(group_names), twins
    while True:  # each round carries the smallest number of a group over to all of it, until nothing changes
        before = together
        for partition in (named, twins):
            least = np.full(partition.max(initial=0) + 1, np.iinfo(np.int32).max, np.int32)
            np.minimum.at(least, partition, together)
            together = least[partition]
        if np.array_equal(before, together):
            return together


def check_new(folder: Path) -> None:
    """Raise DataError if something stands where a FaceSet is to be written."""
    if folder.exists():
        raise DataError(f"{folder} exists already; give another name with --out, or delete it first.")


def is_faceset(folder: Path) -> bool:
    """Return whether a folder is, or was meant to be, a FaceSet."""
    return (folder / ABOUT).is_file()


def open_faceset(folder: Path) -> FaceSet:
    """Open a prepared FaceSet, memory-mapped.

    Raises:
        DataError: The folder is not a FaceSet, or a file in it is missing, broken or does not fit the others.
    """
    if not is_faceset(folder):
        raise DataError(f"{folder} is not a FaceSet (it has no {ABOUT}); make one with `mien data prepare`.")
    try:
        about: dict[str, Any] = json.loads((folder / ABOUT).read_text())
        if about["version"] not in READABLE_VERSIONS:
            raise DataError(
                f"{folder} is a FaceSet of version {about['version']}, and this mien reads versions up to "
                f"{FORMAT_VERSION}; prepare it again."
            )
        faces = np.load(folder / "faces.npy", mmap_mode="r")
        groups = np.load(folder / "groups.npy")
        votes_path, attributes_path = folder / "votes.npy", folder / "attributes.parquet"
        opened = FaceSet(
            name=about["name"],
            faces_u8=faces,
            labels=np.load(folder / "labels.npy"),
            splits=np.load(folder / "splits.npy"),
            twins=np.load(folder / "twins.npy") if about["version"] > 1 else groups,
            groups=groups,
            votes=np.load(votes_path) if votes_path.is_file() else None,
            attributes=_read_attributes(attributes_path) if attributes_path.is_file() else {},
            label_names=tuple(about["label_names"]),
            split_names=tuple(about["split_names"]),
            vote_names=tuple(about["vote_names"]),
            origin=tuple(about["origin"]),
            sha256=about["sha256"],
        )
        _check_agree(opened)
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise DataError(f"{folder} is a broken FaceSet ({error}); delete it and prepare it again.") from error
    return opened


def _check_agree(faces: FaceSet) -> None:
    """Raise ValueError unless the arrays have an element for each face and the codes have names; reads no face."""
    pixels = faces.faces_u8
    if pixels.dtype != np.uint8 or pixels.ndim not in (3, 4):
        raise ValueError(f"faces.npy holds {pixels.dtype} of shape {pixels.shape}, wanted uint8 (N, S, S)")
    columns: dict[str, NDArray[Any]] = {
        name: getattr(faces, name) for name in ("labels", "splits", "twins", "groups", "votes")
    }
    columns |= {f"attribute {name}": values for name, values in faces.attributes.items()}
    for name, values in columns.items():
        if values is not None and (values.ndim == 0 or len(values) != len(pixels)):
            raise ValueError(f"{name}: {values.size:,} for {counted(len(pixels), 'face')}")
    for name, names in (("labels", faces.label_names), ("splits", faces.split_names)):
        codes = columns[name]
        if codes.ndim != 1 or codes.dtype.kind not in "iu":
            raise ValueError(f"{name}.npy holds {codes.dtype} of shape {codes.shape}, wanted whole numbers (N,)")
        if codes.size and not (codes.min() >= 0 and codes.max() < len(names)):
            raise ValueError(f"{name}.npy holds {codes.min()} to {codes.max()}, wanted 0 to {len(names) - 1}")
    if faces.votes is not None and faces.votes.shape[1:] != (len(faces.vote_names),):
        raise ValueError(f"votes.npy has shape {faces.votes.shape}, wanted {counted(len(faces.vote_names), 'column')}")


def _read_attributes(path: Path) -> dict[str, NDArray[np.str_]]:
    with path.open("rb") as file:
        table = pq.read_table(file)
    return {name: np.array(table[name].to_pylist(), np.str_) for name in table.column_names}
