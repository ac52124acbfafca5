"""Pose stores: folders of poses with a checked header."""
