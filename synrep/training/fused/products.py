"""Products of the matrices of K members, in which each member has the bits it would have alone.

How MKL rounds a product depends on more than its factors. Several matrices at once are multiplied
by another routine than one, with several threads the two divide the work differently, and the
routine for several matrices does so, too, depending on their number. On AMD processors, the result
of a row times a matrix also depends on its address in memory. In these cases, the members are
multiplied one after another, with results at aligned addresses. MKL's own switch for reproducible
results, `MKL_CBWR`, is no alternative: on some processors, its strict modes keep these differences
or add others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from synrep.training.fused.stack import ALIGNMENT

if TYPE_CHECKING:
    from torch import Tensor


def multiply(left: Tensor, right: Tensor) -> Tensor:
    """Products (K, m, n) of matrices (K, m, k) and (K, k, n); there may be gaps between them."""
    members, rows, columns = len(left), left.shape[1], right.shape[2]
    if left.is_cuda or (rows > 1 and torch.get_num_threads() == 1):
        return torch.bmm(left, right)
    # PyTorch multiplies slice by slice where gaps lie between the results.
    length = (rows * columns // ALIGNMENT + 1) * ALIGNMENT
    out = left.new_empty(members, length)[:, : rows * columns].view(members, rows, columns)
    return torch.bmm(left, right, out=out)
