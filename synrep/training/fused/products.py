"""Batched matrix products whose rounding does not depend on the number of members.

MKL's rounding depends on more than the factors. MKL uses different routines for one matrix and for
a batch; with several threads, the two partition the work differently, and the partition of the
batched routine also depends on the batch size. On AMD processors, the result of a vector-matrix
product also depends on its memory address. In these cases, the members are multiplied one at a
time, with results at aligned addresses. MKL's mode for reproducible results, `MKL_CBWR`, is no
alternative: on some processors its strict modes keep these differences or add others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from synrep.training.fused.stack import ALIGNMENT

if TYPE_CHECKING:
    from torch import Tensor


def multiply(left: Tensor, right: Tensor) -> Tensor:
    """Multiply (K, m, k) by (K, k, n); the result (K, m, n) may have gaps between members."""
    members, rows, columns = len(left), left.shape[1], right.shape[2]
    if left.is_cuda or (rows > 1 and torch.get_num_threads() == 1):
        return torch.bmm(left, right)
    # PyTorch multiplies one matrix at a time if the output has gaps between matrices.
    length = (rows * columns // ALIGNMENT + 1) * ALIGNMENT
    out = left.new_empty(members, length)[:, : rows * columns].view(members, rows, columns)
    return torch.bmm(left, right, out=out)
