"""A synchronized reprojection-based model for 3D human pose estimation, in PyTorch."""

__version__ = "0.1.0"
