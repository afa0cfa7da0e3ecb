"""A name -> a network. `registry.build` makes one; each network's file names its source."""

from mien.models import mien_nets

__all__ = ["mien_nets"]  # importing a file of networks enters them into the registry
