"""Samplers. Nothing else in `search` imports Optuna."""
