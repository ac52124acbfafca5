"""Hardened readers of other people's files: no code in them runs, and sizes are bounded."""
