"""Readers of files that others wrote, hardened: nothing in them is run, and their sizes are bounded."""
