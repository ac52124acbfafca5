"""Baselines: reimplementations of earlier weakly supervised lifters, evaluated like the model."""
