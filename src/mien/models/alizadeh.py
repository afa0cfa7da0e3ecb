"""The shallow and the deep CNN of Alizadeh & Fazel, "Convolutional Neural Networks for Facial Expression Recognition".

From section 5.1 of the reproduction. Both are silent on dropout's share (we take 0.25 behind convolutions, 0.5 behind
affine layers), on padding (we keep the map's size) and on norm and dropout in the shallow net's affine layer (none).
The hybrids put HOG beside the convolutions' features (section 4); hog.py says with which parameters.
"""

from dataclasses import replace

from mien.models.grammar import AffineBlock, ConvBlock, PlainCNN
from mien.models.registry import register_plain

SHALLOW = PlainCNN(
    convs=(ConvBlock(32, norm=True, dropout=0.25), ConvBlock(64, norm=True, dropout=0.25, pool=2)),
    affines=(AffineBlock(512),),
    mean_image=True,
)
DEEP = PlainCNN(
    convs=(
        ConvBlock(64, norm=True, dropout=0.25, pool=2),
        ConvBlock(128, kernel=5, norm=True, dropout=0.25, pool=2),
        ConvBlock(512, norm=True, dropout=0.25, pool=2),
        ConvBlock(512, norm=True, dropout=0.25, pool=2),
    ),
    affines=(AffineBlock(256, norm=True, dropout=0.5), AffineBlock(512, norm=True, dropout=0.5)),
    mean_image=True,
)

for _name, _grammar in {"alizadeh-shallow": SHALLOW, "alizadeh-deep": DEEP}.items():
    register_plain(_name, _grammar, source="Alizadeh & Fazel, section 5.1", view_px=48)
    register_plain(
        f"{_name}-hog", replace(_grammar, hog=True), source="Alizadeh & Fazel, section 5.1, hybrid", view_px=48
    )
