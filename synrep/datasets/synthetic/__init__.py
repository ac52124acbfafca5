"""Built-in motion: seeded, no download, for trying things out and for tests."""
