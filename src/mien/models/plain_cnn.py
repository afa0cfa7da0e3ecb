"""A spelled-out plain CNN -> a torch network: the one builder of every plain CNN here."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from mien.errors import ModelError
from mien.models import hog
from mien.models.convolution import Conv2d
from mien.models.dropout import Dropout
from mien.models.grammar import AffineBlock, ConvBlock, PlainCNN


class MeanImage(nn.Module):
    """A first layer that subtracts the mean image of the training faces; it is fitted once and not trained.

    It is the mean of the faces and of their mirrors: the training set of Alizadeh & Fazel holds both.
    """

    mean: Tensor

    def __init__(self, channels: int, view_px: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels, view_px, view_px))

    @torch.no_grad()
    def fit(self, inputs: Tensor) -> None:
        """Take the mean of inputs (N, C, H, W) and of their mirrors."""
        mean = inputs.mean(0)
        self.mean.copy_((mean + mean.flip(-1)) / 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return x without the mean image."""
        return x - self.mean


class PlainNetwork(nn.Module):
    """What a `PlainCNN` describes, for one size of view.

    Layers are called conv1, norm1, … and affine1, …; the last affine layer is `classes`.
    """

    def __init__(self, grammar: PlainCNN, channels: int, classes: int, view_px: int) -> None:
        """Build the network.

        Raises:
            ModelError: A layer leaves no pixels of a view of this size; the message names it.
        """
        super().__init__()
        side = [*grammar.sides_px(view_px)][-1]
        self.mean_image = MeanImage(channels, view_px) if grammar.mean_image else None
        self.sample_faces = None if grammar.mean_image else 0  # that image is of all training faces
        self.channels = channels = 3 if grammar.rgb else channels
        convs: OrderedDict[str, nn.Module] = OrderedDict()
        for number, conv in enumerate(grammar.convs, 1):
            convs |= _conv_layers(number, channels, conv)
            channels = conv.out
        if grammar.adaptive_pool:
            convs["adaptive_pool"] = nn.AdaptiveMaxPool2d(grammar.adaptive_pool)
            side = grammar.adaptive_pool
        self.convs = nn.Sequential(convs)
        values = channels * side * side
        if grammar.hog:
            if view_px < hog.BLOCK_CELLS * hog.CELL_PX:
                raise ModelError(f"hog: a view of {view_px} px is smaller than one block of HOG; 16 px is the least.")
            values += hog.features(view_px)
        self.hog = hog.HOG() if grammar.hog else None
        affines: OrderedDict[str, nn.Module] = OrderedDict()
        for number, affine in enumerate(grammar.affines, 1):
            affines |= _affine_layers(number, values, affine)
            values = affine.out
        affines["classes"] = nn.Linear(values, classes)
        self.affines = nn.Sequential(affines)
        self.apply(glorot_weights)

    def initialise_from(self, inputs: Tensor) -> None:
        """Fit the mean image, if there is one, to unaugmented inputs, (N, C, H, W)."""
        if self.mean_image is not None:
            self.mean_image.fit(inputs)

    def forward(self, x: Tensor, hog_features: Tensor | None = None) -> Tensor:
        """Return logits, (N, classes).

        Args:
            x: (N, C, view_px, view_px).
            hog_features: HOG of x where it is known already, (N, features); else it is computed here.
        """
        own_hog = None if self.hog is None else self.hog(x) if hog_features is None else hog_features
        if self.mean_image is not None:
            x = self.mean_image(x)
        x = x.expand(-1, self.channels, -1, -1)  # a grey face as RGB, where the network takes that
        x = self.convs(x).flatten(1)  # (N, C, view, view) -> (N, channels * side * side)
        if own_hog is not None:
            x = torch.cat([x, own_hog.to(x.dtype)], dim=1)
        logits: Tensor = self.affines(x)
        return logits


def _conv_layers(number: int, channels: int, conv: ConvBlock) -> OrderedDict[str, nn.Module]:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers[f"conv{number}"] = Conv2d(channels, conv.out, conv.kernel, conv.stride, conv.zeros)
    if conv.norm:
        layers[f"norm{number}"] = nn.BatchNorm2d(conv.out)
    layers[f"relu{number}"] = nn.ReLU()
    if conv.dropout:
        layers[f"dropout{number}"] = Dropout(conv.dropout)
    if conv.pool:
        layers[f"pool{number}"] = nn.MaxPool2d(conv.pool)
    if conv.dropout_after_pool:
        layers[f"pool_dropout{number}"] = Dropout(conv.dropout_after_pool)
    return layers


def _affine_layers(number: int, values: int, affine: AffineBlock) -> OrderedDict[str, nn.Module]:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers[f"affine{number}"] = nn.Linear(values, affine.out)
    if affine.norm:
        layers[f"norm{number}"] = nn.BatchNorm1d(affine.out)
    layers[f"relu{number}"] = nn.ReLU()
    if affine.dropout:
        layers[f"dropout{number}"] = Dropout(affine.dropout)
    return layers


def glorot_weights(layer: nn.Module) -> None:
    """Give a layer the first weights of Glorot & Bengio 2010, Keras' own, which VGG16 learns from too.

    The papers are silent. With the larger ones of He et al. 2015, Maes & Lange's five affine layers diverge at the
    rate of 0.1 that they report 56 % for.
    """
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(layer.weight)
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
