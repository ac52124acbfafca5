"""Use of a trained generator: lifting keypoints, scoring, export."""
