"""Files on disk -> FaceSet: faces, labels, votes, split and group, in arrays."""
