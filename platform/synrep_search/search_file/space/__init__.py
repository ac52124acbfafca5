"""The search space: distributions, how they are written in a search file, and points in them."""
