"""VGG16 on faces of 96x96: Jawade, "Facial Expression Recognition through Machine Learning", Tables 1 and 2.

VGG16's thirteen convolutions (Simonyan & Zisserman 2015), then 4096, 4096 and six classes (main) or the six classes
alone (baseline). No batch norm. pretrained.py fills the convolutions from VGGFace (main) or ImageNet (baseline).
"""

from mien.models.grammar import AffineBlock, ConvBlock, PlainCNN
from mien.models.registry import register_plain

VGG16_CONVS = tuple(
    ConvBlock(width, pool=2 if last else 0)
    for width, convs in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
    for last in [False] * (convs - 1) + [True]
)

register_plain(
    "jawade-main",
    PlainCNN(convs=VGG16_CONVS, affines=(AffineBlock(4096), AffineBlock(4096))),
    source="Jawade, Table 1",
    view_px=96,
    channels=3,
    classes=6,
)
register_plain(
    "jawade-baseline",
    PlainCNN(convs=VGG16_CONVS),
    source="Jawade, Table 2",
    view_px=96,
    channels=3,
    classes=6,
)
