"""The networks by name.

In: a name and the shape of the task.  Out: an untrained torch network that takes (N, C, H, W) float32 and
returns (N, classes) logits.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from mien.errors import ModelError, unknown_name


@runtime_checkable
class StartsFromData(Protocol):
    """A network whose first weights depend on the faces it will learn from."""

    def initialise_from(self, inputs: Tensor) -> None:
        """Set weights from unaugmented inputs, (N, C, H, W); training calls it once, before the first step."""


Builder = Callable[[int, int], nn.Module]  # (channels, classes) -> network


@dataclass(frozen=True, slots=True)
class NetworkEntry:
    """A network that can be built.

    Attributes:
        name: What users type.
        source: The paper, section or measurement it comes from.
        view_px: Side of the input that it is meant for; also the one that MACs are counted at.
        build: Makes it, from the number of channels and of classes.
    """

    name: str
    source: str
    view_px: int
    build: Builder


_ENTRIES: dict[str, NetworkEntry] = {}


def register(name: str, *, source: str, view_px: int) -> Callable[[Builder], Builder]:
    """Return a decorator that enters a builder under `name`; a name can be taken only once."""

    def enter(build: Builder) -> Builder:
        if name in _ENTRIES:
            raise ValueError(f"Two networks are called {name!r}.")
        _ENTRIES[name] = NetworkEntry(name, source, view_px, build)
        return build

    return enter


def networks() -> dict[str, NetworkEntry]:
    """Return every network by name, in order of name."""
    return dict(sorted(_ENTRIES.items()))


def build(name: str, *, channels: int, classes: int) -> nn.Module:
    """Return a new network.

    Raises:
        ModelError: There is none of that name; the message lists the near ones.
    """
    entries = networks()
    if name not in entries:
        raise ModelError(unknown_name("network", name, entries))
    return entries[name].build(channels, classes)
