"""Facial-expression recognition that is honest about how good it is."""
