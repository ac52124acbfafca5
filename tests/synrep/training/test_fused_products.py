"""Products of K slices: each has the bits that it has alone, with any number of threads."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from synrep.training.fused.products import multiply

ALONE_AND_IN_COMPANY = """
import sys
import torch
from synrep.training.fused.products import multiply

torch.set_num_threads(int(sys.argv[1]))
for m, k, n in ((1, 64, 51), (1, 128, 60), (60, 128, 128), (180, 100, 300), (128, 60, 128)):
    left, right = torch.randn(5, m, k), torch.randn(5, k, n)
    for other in (right, right.mT.contiguous().mT):
        together = multiply(left, other)
        for i in range(5):
            # With an address of its own, as a slice by itself would have.
            alone = multiply(left[i : i + 1].clone(), other[i : i + 1].clone())
            assert torch.equal(alone[0], together[i]), (m, k, n, i)
"""


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("instructions", ["", "AVX2"])
def test_a_product_rounds_alone_as_in_company(threads: int, instructions: str) -> None:
    """Also with the instructions of processors without AVX-512, where two threads once failed."""
    env = dict(os.environ)
    if instructions:
        env["MKL_ENABLE_INSTRUCTIONS"] = instructions
    command = [sys.executable, "-c", ALONE_AND_IN_COMPANY, str(threads)]
    subprocess.run(command, env=env, check=True)


def test_rows_lie_at_whole_vectors() -> None:
    """On AMD processors the address of a row decides how it is rounded."""
    found = multiply(torch.randn(3, 1, 64), torch.randn(3, 64, 51))
    assert [row.data_ptr() % 64 for row in found] == [0, 0, 0]
