"""The four networks of Maes & Lange's grid, "Deep Learning for Emotion Recognition", section 2, Tables 1 and 3.

The paper gives the numbers of convolutions and of affine layers ("FC") and no more. Our choices: 32 channels, doubled
by each convolution up to 512; 3x3 filters, batch norm, a pool of 2 while the map is larger than 3x3; hidden
affine layers of 256; FC counts every affine layer, the one to the classes among them.
"""

from mien.models.grammar import AffineBlock, ConvBlock, PlainCNN
from mien.models.registry import register_plain

VIEW_PX = 48


def grid_network(convs: int, fc: int) -> PlainCNN:
    """Return the network with so many convolutions and affine layers."""
    blocks, side = [], VIEW_PX
    for number in range(convs):
        pool = 2 if side > 3 else 0
        blocks.append(ConvBlock(min(512, 32 * 2**number), norm=True, pool=pool))
        side = side // 2 if pool else side
    return PlainCNN(convs=tuple(blocks), affines=(AffineBlock(256),) * (fc - 1))


for _convs, _fc in ((2, 2), (3, 2), (5, 2), (5, 5)):
    register_plain(
        f"maes-lange-{_convs}-{_fc}", grid_network(_convs, _fc), source="Maes & Lange, Tables 1 and 3", view_px=VIEW_PX
    )
