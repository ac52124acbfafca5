"""Reproduction of the paper's tables and figures as resumable searches."""
