"""Files and samplers for the tests of search files."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from synrep_search.errors import Problem, SpecError
from synrep_search.search_file import load_spec

Write = Callable[..., Path]
Refused = Callable[..., list[Problem]]


class RandomSuggest:
    """Draws flat parameters from a seed and remembers them."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.params: dict[str, Any] = {}

    def float(self, name: str, low: float, high: float, *, log: bool, step: float | None) -> float:
        """Draw from the range, on its steps where it has any."""
        if step is not None:
            value = low + step * self.random.randint(0, round((high - low) / step))
        elif log:
            value = math.exp(self.random.uniform(math.log(low), math.log(high)))
        else:
            value = self.random.uniform(low, high)
        self.params[name] = min(high, max(low, value))
        return self.params[name]

    def int(self, name: str, low: int, high: int, *, log: bool, step: int) -> int:
        """Draw from the range, on its steps."""
        del log
        self.params[name] = self.random.randrange(low, high + 1, step)
        return self.params[name]

    def choice(self, name: str, options: Sequence[Any]) -> Any:
        """Draw one option."""
        self.params[name] = self.random.choice(list(options))
        return self.params[name]


@pytest.fixture(scope="session")
def draw() -> type[RandomSuggest]:
    """A sampler by seed."""
    return RandomSuggest


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a file into the test's folder, which is also the working directory."""
    monkeypatch.chdir(tmp_path)

    def write(text: str, name: str = "a.yaml") -> Path:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def refused(write: Write) -> Refused:
    """The problems that reading a text (as a.yaml, with overrides) gives."""

    def refused(text: str, *overrides: str) -> list[Problem]:
        with pytest.raises(SpecError) as caught:
            load_spec(write(text), overrides)
        return caught.value.problems

    return refused
