"""Pose stores: folders of poses in Parquet files with a validated header."""
