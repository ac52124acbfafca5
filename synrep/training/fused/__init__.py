"""Fused training: many configurations of one shape, trained as one program on stacked weights."""

from synrep.training.fused.capacity import fastest_capacity
from synrep.training.fused.loop import FusedTraining, fusion_key

__all__ = ["FusedTraining", "fastest_capacity", "fusion_key"]
