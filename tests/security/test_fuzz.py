"""Every reader ends with a value or one of the project's own errors, whatever bytes it meets.

`fuzz.py` looks longer; what it has found is in `cases/`, a folder a reader.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.security.contents import contents
from tests.security.targets import TARGETS, attempt

CASES = sorted((Path(__file__).parent / "cases").glob("*/*"))
ENDS = {"read", "InputError", "DamagedError", "SpecError"}


@pytest.mark.parametrize("name", TARGETS)
def test_good_contents_are_read(name: str) -> None:
    """At least one of those that fuzzing starts from; else it would test the refusal alone."""
    ends = {attempt(name, seed) for seed in TARGETS[name].seeds()}
    assert ends <= ENDS
    # A joint map of a stranger needs the joints that the file has: here it lacks them.
    assert "read" in ends or name == "joint-map"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=60, suppress_health_check=[*HealthCheck])
@given(data=st.data())
def test_any_bytes_end_well(name: str, data: st.DataObject) -> None:
    """Good contents with a few changes, and noise."""
    assert attempt(name, data.draw(contents(name))) in ENDS


@pytest.mark.parametrize("case", CASES, ids=[f"{case.parent.name}/{case.name}" for case in CASES])
def test_what_fuzzing_has_found_stays_mended(case: Path) -> None:
    """Each has once ended in another exception."""
    assert attempt(case.parent.name, case.read_bytes()) in ENDS - {"read"}
