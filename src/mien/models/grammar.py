"""The grammar of plain CNNs, as data: what a recipe spells in YAML and one builder builds.

    [Conv-(BN)-ReLU-(Dropout)-(MaxPool)]xM - [Affine-(BN)-ReLU-(Dropout)]xN - Affine

The grammar is that of Alizadeh & Fazel (section 3). Added to it are what Barbagallo's FER_KD needs (dropout after the
pool, an adaptive pool before the affine layers, a grey face given three times) and what Alizadeh & Fazel do beside it
(the mean image, HOG).

In: values, checked one by one.  Out: frozen dataclasses; `plain_cnn.py` builds them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from mien.errors import ModelError

CLOSED: dict[str, Any] = {"extra": "forbid"}  # how pydantic reads a recipe: unknown keys are refused


@dataclass(frozen=True, slots=True)
class ConvBlock:
    """Convolution, batch norm, ReLU, dropout, max pool, dropout; what is 0 or false is left out.

    Attributes:
        out: Channels it makes.
        kernel: Side of its filters.
        stride: Step between two places of a filter.
        padding: Zeros around the map; by default as many as keep its size (for an odd kernel).
        norm: Batch norm before the ReLU.
        dropout: Share of the values dropped before the pool.
        pool: Side and step of the max pool.
        dropout_after_pool: Share of the values dropped after it.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = CLOSED

    out: int
    kernel: int = 3
    stride: int = 1
    padding: int | None = None
    norm: bool = False
    dropout: float = 0.0
    pool: int = 0
    dropout_after_pool: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values that no convolution can have."""
        if min(self.out, self.kernel, self.stride) < 1 or self.pool < 0 or self.zeros < 0:
            raise ValueError("out, kernel and stride must be 1 or more, padding and pool 0 or more")
        _check_share("dropout", self.dropout)
        _check_share("dropout_after_pool", self.dropout_after_pool)

    @property
    def zeros(self) -> int:
        """Zeros around the map, on each side."""
        return (self.kernel - 1) // 2 if self.padding is None else self.padding

    def __str__(self) -> str:
        """Return the block in the paper's notation."""
        stride = f"/{self.stride}" if self.stride > 1 else ""
        padding = "" if self.padding is None else f" pad {self.padding}"
        parts = [f"Conv({self.out}, {self.kernel}x{self.kernel}{stride}{padding})", *_tail(self.norm, self.dropout)]
        if self.pool:
            parts.append(f"MaxPool({self.pool})")
        if self.dropout_after_pool:
            parts.append(f"Dropout({self.dropout_after_pool:g})")
        return f"[{'-'.join(parts)}]"


@dataclass(frozen=True, slots=True)
class AffineBlock:
    """Affine layer, batch norm, ReLU, dropout; what is 0 or false is left out.

    Attributes:
        out: Values it makes.
        norm: Batch norm before the ReLU.
        dropout: Share of the values dropped.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = CLOSED

    out: int
    norm: bool = False
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values that no affine layer can have."""
        if self.out < 1:
            raise ValueError("out must be 1 or more")
        _check_share("dropout", self.dropout)

    def __str__(self) -> str:
        """Return the block in the paper's notation."""
        return f"[{'-'.join([f'Affine({self.out})', *_tail(self.norm, self.dropout)])}]"


@dataclass(frozen=True, slots=True)
class PlainCNN:
    """A plain CNN: convolution blocks, then affine blocks, then one affine layer to the classes.

    Attributes:
        convs: The convolution blocks, in order.
        affines: The hidden affine blocks, in order.
        rgb: Take three channels; a grey face is given three times.
        adaptive_pool: Side of the map that an adaptive max pool leaves before the affine layers; 0 for none.
        mean_image: Subtract the mean image of the training faces first.
        hog: Put the face's HOG beside the convolutions' features, before the affine layers.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = CLOSED

    convs: tuple[ConvBlock, ...]
    affines: tuple[AffineBlock, ...] = ()
    rgb: bool = False
    adaptive_pool: int = 0
    mean_image: bool = False
    hog: bool = False

    def __post_init__(self) -> None:
        """Refuse a network without a layer to learn features."""
        if not self.convs:
            raise ValueError("a plain CNN needs one convolution at least")
        if self.adaptive_pool < 0:
            raise ValueError("adaptive_pool must be 0 or more")

    def sides_px(self, view_px: int) -> Iterator[int]:
        """Yield the side of the map after each convolution block.

        Raises:
            ModelError: A block leaves no pixels of a view of this size; the message names it.
        """
        side = view_px
        for number, conv in enumerate(self.convs, 1):
            before, side = side, (side + 2 * conv.zeros - conv.kernel) // conv.stride + 1
            if side < 1:
                raise ModelError(
                    f"conv {number}: filters of {conv.kernel}x{conv.kernel} do not fit on a map of {before}x{before}; "
                    "make them smaller, or pool less before them."
                )
            if conv.pool:
                before, side = side, side // conv.pool
                if side < 1:
                    raise ModelError(
                        f"conv {number}: a pool of {conv.pool} leaves no pixels of a map of {before}x{before}; "
                        "leave the pool out, or pool less before it."
                    )
            yield side
        if self.adaptive_pool > side:
            raise ModelError(
                f"adaptive_pool: {self.adaptive_pool}x{self.adaptive_pool} is more than the map of {side}x{side} that "
                "the convolutions leave; make it smaller, or pool less before it."
            )

    def __str__(self) -> str:
        """Return the network in the paper's notation."""
        parts = [str(block) for block in self.convs]
        if self.adaptive_pool:
            parts.append(f"AdaptiveMaxPool({self.adaptive_pool})")
        if self.hog:
            parts.append("HOG")
        parts += [str(block) for block in self.affines]
        first = [*(["RGB"] if self.rgb else []), *(["MeanImage"] if self.mean_image else [])]
        return "-".join([*first, *parts, "Affine"])


def _check_share(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise ValueError(f"{name} must be a share from 0 to below 1")


def _tail(norm: bool, dropout: float) -> list[str]:
    return [*(["BN"] if norm else []), "ReLU", *([f"Dropout({dropout:g})"] if dropout else [])]
