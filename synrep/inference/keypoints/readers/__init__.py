"""Readers of keypoint files, one module for each file format, and what several of them share."""
