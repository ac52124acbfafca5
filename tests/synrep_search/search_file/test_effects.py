"""Fields of a search that would have no effect are refused at their line, unless a choice helps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from synrep_search.errors import SpecError
from synrep_search.provenance import data_fingerprint
from synrep_search.search_file import load_spec
from synrep_search.search_file.model import SearchSpec

from synrep.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

RANGE = {"log": [0.1, 1.0]}


def spec(**sections: Any) -> SearchSpec:
    """A search with these sections."""
    return load_spec({"name": "effects", "space": {"loss.lambda_angle": RANGE}} | sections)


def test_a_searched_field_needs_a_choice_that_gives_it_an_effect() -> None:
    """One choice, or one end of a range, is enough."""
    space: dict[str, Any] = {"critic.clip": RANGE}
    with pytest.raises(SpecError, match=r"space.critic.clip: has no effect here"):
        spec(space=space)
    spec(space=space, train={"critic.lipschitz": "weight_clipping"})
    spec(space=space | {"critic.lipschitz": {"choice": ["weight_clipping", "none"]}})
    with pytest.raises(SpecError, match=r"space.critic.clip: has no effect here"):
        spec(space=space | {"critic.lipschitz": {"choice": ["gradient_penalty", "none"]}})
    floor: dict[str, Any] = {"kcs.floor": {"float": [0.0, 0.5]}}
    spec(space=floor | {"kcs.weighting": {"one_of": {"uniform": {}, "tanh": {}}}})
    with pytest.raises(SpecError, match=r"space.kcs.floor"):
        spec(space=floor, train={"kcs.weighting": {"family": "uniform"}})
    spec(space={"data.noise_px": {"float": [0.0, 5.0]}}, data={"noise_seed": 1})


def test_a_fixed_field_is_refused_at_its_line(tmp_path: Path) -> None:
    """With the line of the file; its default is no mistake."""
    file = tmp_path / "a.yaml"
    text = "train:\n  iterations: 10\n  optim.decay_to: 0.5\n"
    text += "space:\n  loss.lambda_angle: {log: [0.1, 1]}\n"
    file.write_text(text)
    with pytest.raises(SpecError) as caught:
        load_spec(file)
    [problem] = caught.value.problems
    assert problem.where.endswith("a.yaml:3")
    assert problem.path == "train.optim.decay_to"
    assert "it needs optim.decay" in problem.rule
    file.write_text(text.replace("0.5", "0.01"))
    load_spec(file)


def test_a_baseline_has_the_rules_of_its_fields() -> None:
    """The supervised generator has a lift; the other baselines have none."""
    with pytest.raises(SpecError, match=r"generator.distance"):
        spec(
            trainer="supervised",
            space={"learning_rate": RANGE},
            train={"generator.distance": 3.0},
        )


def test_the_poses_are_asked_too() -> None:
    """Detected 2D poses need a store that has them: known when the search is launched."""
    found = spec(data={"real_2d": "detected"})
    with pytest.raises(InputError, match=r"data.real_2d"):
        data_fingerprint(found)
    assert data_fingerprint(spec(data={"real_2d": "detected", "noise_px": 2.0}))


def test_a_recorded_search_is_read() -> None:
    """A ledger's specification is not checked again."""
    content = spec().model_dump(mode="json")
    content["train"]["optim"]["decay_to"] = 0.5
    assert SearchSpec.model_validate(content, strict=False).train["optim"]["decay_to"] == 0.5
