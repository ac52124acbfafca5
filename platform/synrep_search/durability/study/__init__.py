"""Trials in Optuna's storage. No other part of `durability` imports Optuna."""
