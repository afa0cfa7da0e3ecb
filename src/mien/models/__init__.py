"""A name -> a network. `registry.build` makes one; each network's file names its source."""

from mien.models import alizadeh, barbagallo, gudi, jawade, maes_lange, mien_nets, xception

# importing a file of networks enters them into the registry
__all__ = ["alizadeh", "barbagallo", "gudi", "jawade", "maes_lange", "mien_nets", "xception"]
