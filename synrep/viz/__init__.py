"""Plots and animations of poses."""
