"""FER_KD and its ablations: Barbagallo, "Emotions Classification using a Convolutional Neural Network", Table 1.

The paper's 10,479,111 parameters come out only for three input channels (the grey face repeated), an adaptive max pool
to 2x2 and one hidden affine layer 4096 -> 1024; its "512x12x12 after pooling" and "flattened in 1024" are slips.
Where Table 1 adds a layer the paper gives no width: we take 1024 -> 1024. Where it removes convolutions, the
last ones go.
"""

from dataclasses import replace

from mien.models.grammar import AffineBlock, ConvBlock, PlainCNN
from mien.models.registry import register_plain

_ADDED_CONV = ConvBlock(1024, norm=True)
_ADDED_AFFINE = AffineBlock(1024, norm=True)

FER_KD = PlainCNN(
    convs=(
        ConvBlock(64, norm=True),
        ConvBlock(128, norm=True, pool=2),
        ConvBlock(256, norm=True, pool=2, dropout_after_pool=0.25),
        ConvBlock(512, norm=True, pool=2, dropout_after_pool=0.25),
        ConvBlock(1024, norm=True),
    ),
    affines=(AffineBlock(1024, norm=True),),
    rgb=True,
    adaptive_pool=2,
)

ABLATIONS = {
    "fer-kd-plus-fc-conv": replace(
        FER_KD, convs=(*FER_KD.convs, _ADDED_CONV), affines=(*FER_KD.affines, _ADDED_AFFINE)
    ),
    "fer-kd-plus-conv": replace(FER_KD, convs=(*FER_KD.convs, _ADDED_CONV)),
    "fer-kd-plus-fc": replace(FER_KD, affines=(*FER_KD.affines, _ADDED_AFFINE)),
    "fer-kd": FER_KD,
    **{f"fer-kd-minus-{n}-conv": replace(FER_KD, convs=FER_KD.convs[:-n]) for n in (1, 2, 3, 4)},
}

for _name, _grammar in ABLATIONS.items():
    register_plain(_name, _grammar, source="Barbagallo, Table 1", view_px=48)
