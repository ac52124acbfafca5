"""Fused training: train many configurations of one shape as one program on stacked weights.

Each of the trainings is a *member* of the fused training; its *row* is its index in the stacked
tensors.
"""

from synrep.training.fused.capacity import fastest_capacity
from synrep.training.fused.loop import FusedTraining, fusion_key

__all__ = ["FusedTraining", "fastest_capacity", "fusion_key"]
