"""A name -> a network. `registry.build` makes one; each network's file names its source."""
