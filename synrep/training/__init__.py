"""Training: the training step, the training loop, checkpoints and fused training."""
