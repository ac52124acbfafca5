"""The search space: distributions, their notation in search files, and points of the space."""
