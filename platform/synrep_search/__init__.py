"""Distributed search over synchronized reprojection GANs: Ray Tune, Optuna and MLflow."""

__version__ = "0.1.0"
