"""Samplers: the only package of `search` that imports Optuna."""
