"""Optuna's storage. Nothing else in durability imports Optuna."""
