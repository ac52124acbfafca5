"""Files that extend files, and overrides on top: one rule for what replaces what."""

from __future__ import annotations

import pytest
from synrep_search.errors import SpecError
from synrep_search.search_file import load_spec
from synrep_search.search_file.early_stopping import Asha
from synrep_search.search_file.samplers import RandomSampler, Tpe

BASE = """\
name: base
train: {iterations: 500, generator.width: 64, generator: {blocks: 3}, kcs.weighting: {family: band}}
data: {noise_px: 3}
space:
  loss.lambda_angle: {log: [0.01, 10]}
  critic.steps: {int: [1, 5], step: 2}
search:
  minimize: validation/z_mm
  trials: 12
  sampler: {tpe: {seed: 5, startup: 3}}
  early_stopping: {asha: {grace: 0.2}}
resources: {cpu: 2, gpu: 1}
"""


def test_a_file_goes_on_top_of_the_one_it_extends(write) -> None:
    """Sections merge key by key; what the upper file leaves out stays."""
    write(BASE, "base.yaml")
    text = "extends: base.yaml\ntrain: {generator: {width: 32}}\nresources: {cpu: 1}\n"
    spec = load_spec(write(text, "sub.yaml"))
    assert spec.train["generator"]["width"] == 32
    assert spec.train["generator"]["blocks"] == 3
    assert spec.train["iterations"] == 500
    assert (spec.resources.cpu, spec.resources.gpu) == (1.0, 1.0)
    assert list(spec.space.names) == ["loss.lambda_angle", "critic.steps"]


def test_the_name_is_not_taken_over(write) -> None:
    """A file that extends another is another search, named after itself."""
    write(BASE, "base.yaml")
    assert load_spec(write("extends: base.yaml\n", "sub.yaml")).name == "sub"


def test_values_with_a_kind_are_replaced_whole(write) -> None:
    """Distributions, families, samplers and goals never mix with those below them."""
    write(BASE, "base.yaml")
    text = """\
extends: base.yaml
train: {kcs.weighting: {family: gaussian, sigma: 3.0}}
space:
  critic.steps: {choice: [1, 2]}
search:
  maximize: validation/p_mpjpe_mm
  sampler: {random: {}}
"""
    spec = load_spec(write(text, "sub.yaml"))
    assert spec.train["kcs"]["weighting"] == {"family": "gaussian", "sigma": 3.0}
    assert spec.space.names["critic.steps"].kind == "choice"
    assert (spec.search.minimize, spec.search.maximize) == (None, "validation/p_mpjpe_mm")
    assert spec.search.sampler == RandomSampler(seed=0)


def test_one_sampler_is_merged_with_itself(write) -> None:
    """Naming the same sampler again changes only the keys given."""
    spec = load_spec(write(BASE), ["search.sampler.tpe.seed=8"])
    assert spec.search.sampler == Tpe(seed=8, startup=3)


@pytest.mark.parametrize("text", ["sampler: {tpe: }", "sampler:\n    tpe:\n"])
def test_a_sampler_without_settings_has_its_defaults(write, text) -> None:
    """`tpe:` with nothing after it asks for the sampler, not for its removal."""
    spec = load_spec(write(f"space: {{critic.steps: {{int: [1, 2]}}}}\nsearch:\n  {text}\n"))
    assert spec.search.sampler == Tpe()


def test_null_takes_away_in_files_and_overrides(write) -> None:
    """Null removes a key, a whole section of dotted names, and a searched name."""
    write(BASE, "base.yaml")
    text = "extends: base.yaml\ntrain:\n  generator:\nsearch: {early_stopping: null}\ndata: null\n"
    spec = load_spec(write(text, "sub.yaml"), ["space.critic.steps=null", "train.iterations="])
    assert spec.train["generator"]["width"] == 1024
    assert spec.train["generator"]["blocks"] == 2
    assert spec.train["iterations"] == 100_000
    assert spec.train["data"]["noise_px"] == 0
    assert spec.search.early_stopping is None
    assert list(spec.space.names) == ["loss.lambda_angle"]


def test_a_name_can_move_from_searched_to_fixed(write) -> None:
    """Removing a searched name frees it to be fixed in the same breath."""
    spec = load_spec(write(BASE), ["space.loss.lambda_angle=null", "train.loss.lambda_angle=0"])
    assert spec.train["loss"]["lambda_angle"] == 0
    assert "loss.lambda_angle" not in spec.space.names


def test_overrides_take_any_value(write) -> None:
    """Numbers, mappings and lists arrive as YAML; later overrides win over earlier ones."""
    overrides = [
        "search.trials=3",
        "search.trials=4",
        "train.optim={beta1: 0.5, beta2: 1e-1}",
        "train.kcs.weighting={family: uniform}",
        "space.optim.lr_generator={log: [1e-5, 1e-3]}",
        "search.early_stopping=none",
        "start_from=[{critic.steps: 3}]",
        "name=other",
    ]
    spec = load_spec(write(BASE), overrides)
    assert spec.search.trials == 4
    assert (spec.train["optim"]["beta1"], spec.train["optim"]["beta2"]) == (0.5, 0.1)
    assert spec.train["kcs"]["weighting"] == {"family": "uniform"}
    assert spec.space.names["optim.lr_generator"].low == 1e-5
    assert spec.search.early_stopping is None
    assert spec.start_from[0]["critic.steps"] == 3
    assert spec.name == "other"
    assert load_spec(write(BASE)).search.early_stopping == Asha(grace=0.2)


@pytest.mark.parametrize(
    ("override", "path", "rule"),
    [
        ("search.trials", "", "an override reads section.key=value, e.g. search.trials=4"),
        ("=4", "", "an override reads section.key=value, e.g. search.trials=4"),
        ("search..trials=4", "", "an override reads section.key=value, e.g. search.trials=4"),
        ("search.trials=[4", "search.trials", "not valid YAML: "),
        ("search.trials=many", "search.trials", 'must be a whole number, got "many"'),
        ("train.iteration=4", "train.iteration", "is not a field of synrep's configuration: did"),
        ("train=4", "train", "must be a mapping of keys to values, got 4"),
        ("space.critic.step=null", "space.critic.step", "there is nothing to remove: did you m"),
        ("resource.cpu=1", "resource", 'unknown key "resource": did you mean resources?; valid: '),
        ("space.critic.steps={int: [0, 3]}", "space.critic.steps.int", "must be at least 1, got 0"),
        ("extends=base.yaml", "extends", "only a file can extend another"),
    ],
)
def test_a_wrong_override_is_named_as_the_option(refused, override, path, rule) -> None:
    """The place of a problem that an override brings is the option, without its value."""
    (problem,) = refused(BASE, override)
    assert problem.where == "-o " + (override.partition("=")[0] if path else override)
    assert problem.path == path
    assert problem.rule.startswith(rule)


def test_problems_below_name_both_files(write) -> None:
    """A mistake in an extended file shows that file's line and who extends it."""
    write("space: {critic.steps: {int: [1, 3]}}\nresources: {cpu: -1}\n", "lib/base.yaml")
    write("name: middle\nextends: base.yaml\n", "lib/middle.yaml")
    path = write("extends: lib/middle.yaml\n", "top.yaml")
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    (problem,) = caught.value.problems
    assert problem.path == "resources.cpu"
    assert problem.where == (
        "lib/base.yaml:2 (extended by lib/middle.yaml:2 (extended by top.yaml:1))"
    )


def test_files_that_extend_each_other_in_a_circle(write) -> None:
    """A circle is refused, and shown whole."""
    write("extends: ../b.yaml\n", "lib/c.yaml")
    write("extends: lib/c.yaml\n", "b.yaml")
    with pytest.raises(SpecError) as caught:
        load_spec(write("\nextends: b.yaml\n", "a.yaml"), [])
    assert caught.type is SpecError
    (problem,) = caught.value.problems
    assert problem.path == "extends"
    assert problem.where.startswith("lib/c.yaml:1 (extended by b.yaml:1")
    assert problem.rule.endswith("in a circle: a.yaml -> b.yaml -> lib/c.yaml -> b.yaml")


@pytest.mark.parametrize(
    ("extends", "where", "rule"),
    [
        ("nowhere.yaml", "nowhere.yaml (extended by a.yaml:1)", "can't be read: No such file"),
        (".", ". (extended by a.yaml:1)", "can't be read: Is a directory"),
        ("[b.yaml]", "a.yaml:1", 'must be one file, got ["b.yaml"]'),
        ("3", "a.yaml:1", "must be one file, got 3"),
    ],
)
def test_a_file_that_cannot_be_extended(refused, extends, where, rule) -> None:
    """A missing or unreadable file is named, with the line that asks for it."""
    (problem,) = refused(f"extends: {extends}\n{BASE}")
    assert problem.where == where
    assert problem.rule.startswith(rule)
