"""What is refused under `space`, with its place in the file."""

from __future__ import annotations

import pytest

SPACES = [
    ("generator.dropout", "0.5", "", "needs a distribution such as {float: [0, 1]}, got 0.5; a v"),
    ("generator.dropout", "{}", "", "needs exactly one of float, log, int, int_log, choice, one_"),
    ("generator.dropout", "{flaot: [0, 1]}", ".flaot", 'unknown distribution "flaot": did you me'),
    ("generator.dropout", "{float: 3}", ".float", "must be [low, high], got 3"),
    ("generator.dropout", "{float: [0]}", ".float", "must be [low, high], got [0]"),
    ("generator.dropout", "{float: [0, a]}", ".float", 'must be a number, got "a"'),
    ("generator.dropout", "{float: [0, true]}", ".float", "must be a number, got true"),
    ("generator.dropout", "{float: [0.5, 0.5]}", ".float", "the range [0.5, 0.5] is empty: low m"),
    ("generator.dropout", "{float: [0.5, 0.1]}", ".float", "the range [0.5, 0.1] is empty: low m"),
    ("generator.dropout", "{float: [0, 1]}", ".float", "must be less than 1, got 1.0"),
    ("generator.dropout", "{float: [0, 0.5], step: 0.2}", ".float", "steps of 0.2 from 0 don't r"),
    ("generator.dropout", "{float: [0, 0.5], step: 0}", ".float", "the step must be greater than"),
    ("generator.dropout", "{float: [0, 0.5], step: a}", ".step", 'must be a number, got "a"'),
    (
        "optim.clip_grad_norm",
        "{float: [-1e308, 1e308]}",
        ".float",
        "the range [-1e+308, 1e+308] is",
    ),
    ("optim.clip_grad_norm", "{float: [0, 1e308], step: 1e-300}", ".float", "steps of 1e-300 from"),
    ("generator.dropout", "{one_of: {tanh: {}}}", "", "has no families: one_of does not apply"),
    ("optim.lr_generator", "{log: [0, 1]}", ".log", "a logarithmic range starts above 0, got 0"),
    ("optim.lr_generator", "{log: [1, 2], step: 1}", ".step", "can't be combined with log"),
    ("optim.lr_generator", "{float: [-1, 1]}", ".float", "must be greater than 0, got -1.0"),
    ("critic.steps", "{int: [1, 2.5]}", ".int", "must be a whole number, got 2.5"),
    ("critic.steps", "{int: [1, 8], step: 3}", ".int", "steps of 3 from 1 don't reach 8 exactly"),
    ("critic.steps", "{int: [0, 3]}", ".int", "must be at least 1, got 0"),
    ("critic.steps", "{float: [1, 3]}", ".float", "takes whole numbers: use int or int_log"),
    ("critic.steps", "{log: [1, 3]}", ".log", "takes whole numbers: use int or int_log"),
    ("critic.steps", "{int_log: [0, 3]}", ".int_log", "a logarithmic range starts above 0, got 0"),
    ("critic.steps", "{int: [1, 3], log: true}", "", "needs exactly one of float, log, int, int_"),
    ("critic.steps", "{choice: 3}", ".choice", "must be a list of two or more values, got 3"),
    ("critic.steps", "{choice: [3]}", ".choice", "must be a list of two or more values, got [3]"),
    ("critic.steps", "{choice: [3, 3]}", ".choice", "the option 3 is given twice"),
    ("critic.steps", "{choice: [3, null]}", ".choice", "an option is a number, a word, true or f"),
    ("critic.steps", "{choice: [3, many]}", ".choice", 'must be a whole number, got "many"'),
    ("critic.head", "{choice: [mlp, liner]}", ".choice", "must be 'mlp' or 'linear', got \"liner"),
    ("critic.steps", "[{int: [1, 2]}, {int: [1, 2]}]", "", "must be a whole number, got [1, 1]"),
    ("critic.steps", "[]", "", "the list is empty"),
    ("critic.steps", "[1, 2]", "", "none of the entries is a distribution"),
    (
        "critic.step",
        "{int: [1, 2]}",
        "",
        "is not a field of synrep's configuration: did you mean cr",
    ),
    ("critic", "{int: [1, 2]}", "", "is a section: name a field in it; valid: critic.branch_width"),
    ("seed", "{int: [1, 2]}", "", "can't be searched: every trial gets its own seed"),
    ("iterations", "{int: [1, 2]}", "", "can't be searched: all trials have the same length"),
    ("evaluation.views", "{int: [1, 2]}", "", "can't be searched: it decides how the goal is mea"),
    ("data.poses", "{choice: [a, b]}", "", "can't be searched: results on different poses"),
    ("kcs.weighting", "{choice: [tanh, band]}", "", "is one of several families: use {one_of: {t"),
    ("kcs.weighting", "{one_of: 3}", ".one_of", "must be a mapping of families to their paramet"),
    ("kcs.weighting", "{one_of: {}}", ".one_of", "must be a mapping of families to their paramet"),
    ("kcs.weighting", "{one_of: {tanh: 3}}", ".one_of.tanh", "must be a mapping of parameters"),
    (
        "kcs.weighting",
        "{one_of: {tanf: {scale: {float: [1, 2]}}}}",
        ".one_of.tanf",
        'unknown family "tanf": did you mean tanh?; valid: tanh, uniform',
    ),
    (
        "kcs.weighting",
        "{one_of: {tanh: {scal: {float: [1, 2]}}}}",
        ".one_of.tanh.scal.float",
        'unknown key "scal": did you mean scale?; valid: family, scale, power',
    ),
    (
        "kcs.weighting",
        "{one_of: {tanh: {scale: {float: [0, 2]}, power: 1.0}}}",
        ".one_of.tanh.scale.float",
        "must be greater than 0, got 0.0",
    ),
    (
        "kcs.weighting",
        "{one_of: {band: {reach: 9}}}",
        ".one_of.band.reach",
        "must be at most 7, got 9",
    ),
    (
        "kcs.weighting",
        "{one_of: {free: {weights: [{float: [0, 1]}, 1]}}}",
        ".one_of.free.weights",
        "has 2 entries, which are too few",
    ),
    (
        "kcs.weighting",
        "{one_of: {free: {weights: [1, 1, 1, 1, {float: [0, 2]}, 1]}}}",
        ".one_of.free.weights.float",
        "must be at most 1, got 2.0",
    ),
    (
        "kcs.weighting",
        "{one_of: {free: {weights: {simplex: {size: 7}}}}}",
        ".one_of.free.weights",
        "has 7 entries, but takes 6",
    ),
    (
        "kcs.weighting",
        "{one_of: {free: {weights: {simplex: {size: 6, sum: 3, max: 2}}}}}",
        ".one_of.free.weights",
        "must be at most 1, got 2.0",
    ),
    (
        "kcs.weighting",
        "{one_of: {free: {weights: {simplex: {size: 6, sum: 6}}}}}",
        ".one_of.free.weights.simplex",
        "6 entries of at most 1.0 can't share the sum 6.0 in more than one way: raise max",
    ),
    (
        "kcs.weighting",
        "{one_of: {free: {weights: {simplex: {sum: 3}}}}}",
        ".one_of.free.weights.simplex",
        "needs a size",
    ),
    (
        "kcs.weighting",
        "{one_of: {free: {weights: {simplex: {size: 6, total: 3}}}}}",
        ".one_of.free.weights.simplex.total",
        'unknown key "total"; valid: size, sum, max',
    ),
    (
        "kcs.weighting",
        "{one_of: {free: {weights: {simplex: {size: 6.5}}}}}",
        ".one_of.free.weights.simplex.size",
        "must be a whole number, got 6.5",
    ),
    (
        "kcs.weighting",
        "{one_of: {free: {weights: {simplex: {size: 1}}}}}",
        ".one_of.free.weights.simplex.size",
        "must be 2 to 64 entries, got 1",
    ),
    (
        "kcs.weighting",
        "{one_of: {free: {weights: {simplex: {size: 6, sum: 0}}}}}",
        ".one_of.free.weights.simplex",
        "sum and max must be within 1e-6 and 1e6",
    ),
]


@pytest.mark.parametrize(("name", "text", "path", "rule"), SPACES)
def test_a_wrong_distribution_is_named_with_its_place(refused, name, text, path, rule) -> None:
    """A distribution that means nothing, or that its field would refuse, is the only problem."""
    (problem,) = refused(f"space:\n  critic.gp_weight: {{log: [1, 50]}}\n  {name}: {text}\n")
    assert problem.where == "a.yaml:3"
    assert problem.path == f"space.{name}{path}"
    assert problem.rule.startswith(rule)


def test_the_place_inside_a_family_is_its_own_line(refused) -> None:
    """A problem deep inside a family names the line of the parameter, not of the searched name."""
    text = "space:\n  kcs.weighting:\n    one_of:\n      band:\n        reach: {int: [1, 9]}\n"
    (problem,) = refused(text)
    assert (
        str(problem)
        == "a.yaml:5: space.kcs.weighting.one_of.band.reach.int: must be at most 7, got 9"
    )


@pytest.mark.parametrize("text", ["", "name: a\n", "space:\n"])
def test_nothing_searched(refused, text) -> None:
    """A file without a searched name is no search."""
    (problem,) = refused(text)
    assert problem.path == "space"
    assert problem.rule.startswith("nothing is searched")


def test_fixed_and_searched(refused) -> None:
    """A name both fixed and searched is refused with both lines, under train and under data."""
    text = """\
train:
  generator:
    dropout: 0.1
data: {noise_px: 3}
space:
  generator.dropout: {float: [0, 0.5]}
  data.noise_px: {choice: [0, 5]}
"""
    first, second = refused(text)
    assert str(first) == (
        "a.yaml:6: space.generator.dropout: is searched here and fixed by "
        "train.generator.dropout at a.yaml:3: keep one"
    )
    assert str(second) == (
        "a.yaml:7: space.data.noise_px: is searched here and fixed by data.noise_px "
        "at a.yaml:4: keep one"
    )
