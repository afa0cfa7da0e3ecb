"""The networks by name, and those that a recipe spells out itself.

In: a name, or a `PlainCNN`, and the shape of the task.  Out: an untrained torch network that takes (N, C, H, W)
float32 and returns (N, classes) logits.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from mien.errors import ModelError, unknown_name
from mien.models.grammar import PlainCNN
from mien.models.plain_cnn import PlainNetwork


@runtime_checkable
class StartsFromData(Protocol):
    """A network whose first weights depend on the faces it will learn from.

    Attributes:
        sample_faces: How many of the training faces it wants to see, drawn at random; None for all, 0 for none: it
            is then asked to initialise itself from an empty batch.
    """

    sample_faces: int | None

    def initialise_from(self, inputs: Tensor) -> None:
        """Set weights from unaugmented inputs, (N, C, H, W); training calls it once, before the first step."""


Builder = Callable[[int, int, int], nn.Module]  # (channels, classes, view_px) -> network


@dataclass(frozen=True, slots=True)
class NetworkEntry:
    """A network that can be built.

    Attributes:
        name: What users type.
        source: The paper, section or measurement it comes from.
        view_px: Side of the input that it is meant for; also the one that MACs are counted at.
        channels: Channels of that input: 1 for grey, 3 for RGB.
        classes: Classes that its source trains it on.
        grammar: How it is spelled, if it is a plain CNN.
        build: Makes it, from the number of channels, of classes, and the side of the view.
    """

    name: str
    source: str
    view_px: int
    channels: int
    classes: int
    grammar: PlainCNN | None
    build: Builder


_ENTRIES: dict[str, NetworkEntry] = {}


def register(
    name: str, *, source: str, view_px: int, channels: int = 1, classes: int = 7
) -> Callable[[Builder], Builder]:
    """Return a decorator that enters a builder under `name`; a name can be taken only once."""

    def enter(build: Builder) -> Builder:
        _enter(NetworkEntry(name, source, view_px, channels, classes, None, build))
        return build

    return enter


def register_plain(
    name: str, grammar: PlainCNN, *, source: str, view_px: int, channels: int = 1, classes: int = 7
) -> None:
    """Enter a plain CNN under `name`; a name can be taken only once."""

    def build(channels: int, classes: int, view_px: int) -> nn.Module:
        return PlainNetwork(grammar, channels, classes, view_px)

    _enter(NetworkEntry(name, source, view_px, channels, classes, grammar, build))


def _enter(entry: NetworkEntry) -> None:
    if entry.name in _ENTRIES:
        raise ValueError(f"Two networks are called {entry.name!r}.")
    _ENTRIES[entry.name] = entry


def networks() -> dict[str, NetworkEntry]:
    """Return every network by name, in order of name."""
    return dict(sorted(_ENTRIES.items()))


def build(network: str | PlainCNN, *, channels: int, classes: int, view_px: int) -> nn.Module:
    """Return a new network.

    Raises:
        ModelError: There is none of that name (the message lists the near ones), or one of its layers leaves no
            pixels of a view of this size.
    """
    if isinstance(network, PlainCNN):
        return PlainNetwork(network, channels, classes, view_px)
    entries = networks()
    if network not in entries:
        raise ModelError(unknown_name("network", network, entries))
    return entries[network].build(channels, classes, view_px)
