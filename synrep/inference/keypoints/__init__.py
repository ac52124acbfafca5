"""Files of 2D keypoints, one module for each kind of file."""
