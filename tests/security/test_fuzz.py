"""Every reader ends with a value or one of the project's own errors, whatever bytes it meets.

`fuzz.py` looks longer; what it has found is in `cases/`, a folder a reader. All is read in another
process: a content that ends a process would end the tests with it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from site import addsitedir

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import savemat
from scipy.sparse import csc_array

from tests.security.contents import contents
from tests.security.targets import TARGETS, attempt

CASES = sorted((Path(__file__).parent / "cases").glob("*/*"))
ENDS = {"read", "InputError", "DamagedError", "SpecError"}

Apart = Callable[..., list[str]]


@pytest.fixture(scope="module")
def apart() -> Iterator[Apart]:
    """Function: name of a reader, contents -> how each ended, in a process that may crash."""
    spawn, root = get_context("spawn"), str(Path(__file__).parents[2])
    # It imports these tests anew.
    with ProcessPoolExecutor(1, spawn, initializer=addsitedir, initargs=(root,)) as pool:
        yield lambda name, *files: list(
            pool.map(attempt, [name] * len(files), files, chunksize=500)
        )


@pytest.mark.parametrize("name", TARGETS)
def test_good_contents_are_read(name: str, apart: Apart) -> None:
    """At least one of those that fuzzing starts from; else it would test the refusal alone."""
    ends = set(apart(name, *TARGETS[name].seeds()))
    assert ends <= ENDS
    # A joint map of a stranger needs the joints that the file has: here it lacks them.
    assert "read" in ends or name == "joint-map"


@pytest.mark.system
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=60, suppress_health_check=[*HealthCheck])
@given(data=st.data())
def test_any_bytes_end_well(name: str, apart: Apart, data: st.DataObject) -> None:
    """Good contents with a few changes, and noise."""
    assert set(apart(name, data.draw(contents(name)))) <= ENDS


@pytest.mark.parametrize("case", CASES, ids=[f"{case.parent.name}/{case.name}" for case in CASES])
def test_what_fuzzing_has_found_stays_mended(case: Path, apart: Apart) -> None:
    """Each has once ended in another exception, or the process."""
    assert apart(case.parent.name, case.read_bytes())[0] in ENDS - {"read"}


@pytest.mark.system
def test_no_word_of_a_matlab_file_ends_the_process(apart: Apart) -> None:
    """Types, classes and sizes: each is every small number once, also as a short element's."""
    kinds = {"cell": np.array([1.5, "b"], object), "sparse": csc_array(np.eye(2) * 1j), "text": "a"}
    file = io.BytesIO()
    savemat(file, {"RELEASE": kinds | {"complex": np.array([1, 2j]), "whole": np.arange(3)}})
    good = file.getvalue()
    spoilt = [
        good[:at] + bytes([number, 0, short, 0]) + good[at + 4 :]
        for at in range(128, len(good), 4)
        for number in range(21)
        for short in ((0, 4) if at % 8 == 0 else (0,))
    ]
    assert set(apart("mpii-mat", *spoilt)) <= ENDS
