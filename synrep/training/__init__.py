"""Training: one step, the loop around it, its checkpoints, and many trainings as one program."""
