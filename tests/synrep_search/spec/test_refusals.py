"""Every mistake that a search file can hold: the exact place, and a rule in plain words."""

from __future__ import annotations

import pytest
from synrep_search.errors import SpecError
from synrep_search.spec import load_spec

SPACE = "space: {critic.gp_weight: {log: [1, 50]}}\n"

# (lines after SPACE, the line of the problem, its path, the beginning of its rule)
FILES = [
    ("trian: {}", 2, "trian", 'unknown key "trian": did you mean train?; valid: name, extends, '),
    ("name: a b", 2, "name", "must be 1 to 64 letters"),
    ("name: [a]", 2, "name", "must be 1 to 64 letters"),
    ("trainer: synrap", 2, "trainer", 'unknown trainer "synrap": did you mean synrep?; valid: '),
    ("trainer: [a]", 2, "trainer", 'unknown trainer "'),
    ("train: 5", 2, "train", "must be a mapping of keys to values, got 5"),
    ("train: {iterations: 2.5}", 2, "train.iterations", "must be a whole number, got 2.5"),
    ("train: {iterations: 0}", 2, "train.iterations", "must be at least 1, got 0"),
    ("train:\n  seed: 3", 3, "train.seed", "every trial gets its own seed"),
    ("train:\n  data.joints: 16", 3, "train.data.joints", "belongs in the section data, as joints"),
    (
        "train:\n  generator:\n    widht: 3",
        4,
        "train.generator.widht",
        "is no field of synrep's configuration: did you mean generator.width?; valid: generator.w",
    ),
    (
        "train: {iteration: 3}",
        2,
        "train.iteration",
        "is no field of synrep's configuration: did you mean iterations?; valid: seed, iterations",
    ),
    (
        "train:\n  generator.width: 3\n  generator:\n    width: 4",
        5,
        "generator.width",
        "is set twice, first at a.yaml:3",
    ),
    ("train: {generator: 3}", 2, "train.generator", "is a section: name a field in it; valid: gen"),
    (
        "train: {kcs.weighting.scale: 2}",
        2,
        "train.kcs.weighting.scale",
        "kcs.weighting is one value, given whole",
    ),
    (
        "train:\n  kcs.weighting:\n    family: tanh\n    scal: 2",
        5,
        "train.kcs.weighting.scal",
        'unknown key "scal": did you mean scale?; valid: family, scale, power',
    ),
    (
        "train: {kcs.weighting: {family: tan}}",
        2,
        "train.kcs.weighting",
        'unknown family "tan": did you mean tanh?; valid: tanh, uniform, ',
    ),
    (
        "train: {kcs.weighting: {scale: 2}}",
        2,
        "train.kcs.weighting",
        "needs the key 'family', got {\"scale\": 2}",
    ),
    (
        "train:\n  kcs.weighting:\n    family: free\n    weights: [1, 1]",
        5,
        "train.kcs.weighting.weights",
        "has 2 entries, which are too few",
    ),
    (
        "train: {kcs.weighting: {family: free, weights: [1, 1, 1, 1, 1, 1, 1]}}",
        2,
        "train.kcs.weighting.weights",
        "has 7 entries, but takes 6",
    ),
    (
        "train: {kcs.entries: uper}",
        2,
        "train.kcs.entries",
        "must be 'full' or 'upper', got \"uper\": did you mean upper?",
    ),
    ("train: {kcs.cosine: yes}", 2, "train.kcs.cosine", 'must be true or false, got "yes"'),
    ("data:\n  noise: 3", 3, "data.noise", "is no field of synrep's configuration: did you mean d"),
    ("data: {noise_px: -1}", 2, "data.noise_px", "must be at least 0, got -1"),
    ("data: {poses: 5}", 2, "data.poses", "must be text, got 5"),
    ("search: {trials: 0}", 2, "search.trials", "must be at least 1, got 0"),
    ("search: {trails: 4}", 2, "search.trails", 'unknown key "trails": did you mean trials?; va'),
    ("search: 5", 2, "search", "must be a mapping of keys to values, got 5"),
    (
        "search:\n  minimize: validation/z_mm\n  maximize: validation/z_mm",
        4,
        "search.maximize",
        "minimize (a.yaml:3) and maximize (a.yaml:4): keep one",
    ),
    (
        "search: {minimize: validation/mpjpe}",
        2,
        "search.minimize",
        'unknown goal "validation/mpjpe": did you mean validation/mpjpe_mm?; valid: validation/m',
    ),
    ("search: {minimize: 3}", 2, "search.minimize", "must be text, got 3"),
    ("search: {sampler: tpe}", 2, "search.sampler", "needs one of tpe, random, e.g. {tpe: {seed"),
    (
        "search: {sampler: {tpe: {}, random: {}}}",
        2,
        "search.sampler",
        "needs one of tpe, random",
    ),
    (
        "search: {sampler: {tpee: {}}}",
        2,
        "search.sampler.tpee",
        'unknown sampler "tpee": did you mean tpe?; valid: tpe, random',
    ),
    (
        "search:\n  sampler:\n    tpe: {kind: tpe}",
        4,
        "search.sampler.tpe.kind",
        'unknown key "kind"; valid: seed, startup',
    ),
    (
        "search:\n  sampler:\n    tpe:\n      seed: -1",
        5,
        "search.sampler.tpe.seed",
        "must be at least 0, got -1",
    ),
    (
        "search: {early_stopping: {asah: {}}}",
        2,
        "search.early_stopping.asah",
        'unknown kind of early stopping "asah": did you mean asha?',
    ),
    (
        "search: {early_stopping: asha}",
        2,
        "search.early_stopping",
        'must be none or e.g. {asha: {grace: 0.1}}, got "asha"',
    ),
    (
        "search: {early_stopping: {asha: {grace: 4}}}",
        2,
        "search.early_stopping.asha.grace",
        "must be less than 1, got 4",
    ),
    ("resources: {gup: 1}", 2, "resources.gup", 'unknown key "gup": did you mean gpu?; valid: cp'),
    ("resources: {fuse: on}", 2, "resources.fuse", "must be off, auto, or a whole number from 2"),
    (
        "resources: {fuse: 1}",
        2,
        "resources.fuse",
        "must be off, auto, or a whole number from 2 on, got 1",
    ),
    ("resources: {cpu: 0}", 2, "resources.cpu", "must be greater than 0, got 0"),
    ("budget: {hours: soon}", 2, "budget.hours", 'must be a number, got "soon"'),
    ("failures: {retries: -1}", 2, "failures.retries", "must be at least 0, got -1"),
    ("storage: [a]", 2, "storage", 'must be text, got ["a"]'),
    ("storage: ''", 2, "storage", "is empty; leave the key out for the default"),
    ("ledger: mysql://db/x", 2, "ledger", "must be a sqlite:// or postgresql:// URL"),
    ("tracking: {experiment: ''}", 2, "tracking.experiment", "must not be empty"),
    ("start_from: paper", 2, "start_from", "must be a list of points, each `paper` or a mapping"),
    (
        "start_from:\n- paper\n- papr",
        4,
        "start_from[1]",
        'must be `paper` or a mapping of searched names to values, got "papr": did you mean paper?',
    ),
    (
        "start_from:\n- critic.gp_weigth: 3",
        3,
        "start_from[0].critic.gp_weigth",
        'unknown searched name "critic.gp_weigth": did you mean critic.gp_weight?; valid: critic',
    ),
    (
        "start_from:\n- critic.gp_weight: 60",
        3,
        "start_from[0].critic.gp_weight",
        "60 is outside 1.0 .. 50.0",
    ),
]


@pytest.mark.parametrize(("text", "line", "path", "rule"), FILES)
def test_a_mistake_is_named_with_its_place(refused, text, line, path, rule) -> None:
    """The only problem reported is the mistake, at its own line, path and with its own rule."""
    (problem,) = refused(f"{SPACE}{text}\n")
    assert problem.where == f"a.yaml:{line}"
    assert problem.path == path
    assert problem.rule.startswith(rule)


# (a distribution, the rest of the path after space.NAME, the beginning of the rule), by name
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
    ("generator.dropout", "{float: [0, 0.5], step: 0.2}", ".float", "steps of 0.2 from 0 don't m"),
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
    ("optim.lr_generator", "{log: [1, 2], step: 1}", ".step", "the sampler can't honour steps of"),
    ("optim.lr_generator", "{float: [-1, 1]}", ".float", "must be greater than 0, got -1.0"),
    ("critic.steps", "{int: [1, 2.5]}", ".int", "must be a whole number, got 2.5"),
    ("critic.steps", "{int: [1, 8], step: 3}", ".int", "steps of 3 from 1 don't meet 8"),
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
    ("critic.step", "{int: [1, 2]}", "", "is no field of synrep's configuration: did you mean cr"),
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


def test_a_default_outside_the_space_is_no_start(refused) -> None:
    """`paper` needs every default inside the space; the message says which is not."""
    text = "space:\n  generator.width: {choice: [64, 128]}\nstart_from:\n  - paper\n"
    (problem,) = refused(text)
    assert str(problem) == (
        "a.yaml:4: start_from[0].generator.width: the default 1024 is none of 64, 128; "
        "widen the space"
    )


def test_paper_needs_tanh_among_the_families(refused) -> None:
    """With the weighting searched, `paper` means tanh at scale 1: without it there is no start."""
    families = "band: {reach: {int: [1, 7]}}"
    text = f"space: {{kcs.weighting: {{one_of: {{{families}}}}}}}\nstart_from: [paper]\n"
    (problem,) = refused(text)
    assert problem.path == "start_from[0].kcs.weighting"
    assert "is of none of the families band" in problem.rule
    families = "tanh: {scale: {float: [2, 3]}}"
    text = f"space: {{kcs.weighting: {{one_of: {{{families}}}}}}}\nstart_from: [paper]\n"
    (problem,) = refused(text)
    assert problem.path == "start_from[0].kcs.weighting.tanh.scale"
    assert problem.rule == "the default 1.0 is outside 2.0 .. 3.0; widen the space"


@pytest.mark.parametrize(
    ("point", "path", "rule"),
    [
        ("{family: tanh, power: 3}", ".tanh.power", "is not searched"),
        ("{family: band, reach: 2.5}", ".band.reach", "2.5 is not a whole number"),
        ("{family: uniform}", "", '{"family": "uniform"} is of none of the families tanh, band'),
        ("tanh", "", '"tanh" is of none of the families tanh, band'),
    ],
)
def test_a_family_outside_the_space_is_no_start(refused, point, path, rule) -> None:
    """A start point's family and parameters must be among those searched."""
    text = (
        "space: {kcs.weighting: {one_of: {tanh: {scale: {float: [1, 2]}}, "
        f"band: {{reach: {{int: [1, 7]}}}}}}}}}}\nstart_from: [{{kcs.weighting: {point}}}]\n"
    )
    (problem,) = refused(text)
    assert (problem.where, problem.path) == ("a.yaml:2", f"start_from[0].kcs.weighting{path}")
    assert problem.rule == rule


@pytest.mark.parametrize(
    ("key", "url"),
    [
        ("storage", "s3://key:hunter2@bucket/x"),
        ("storage", "s3://bucket/x?secret_key=hunter2"),
        ("ledger", "postgresql://user:hunter2@db/x"),
        ("ledger", "postgresql://user:hunt/er2@db/x"),
        ("ledger", "postgresql://db/x?user=a&password=hunter2"),
        ("ledger", "mysql://user:hunter2@db/x"),
        ("tracking.uri", "https://user:hunter2@mlflow"),
        ("train.iterations", "a://user:hunter2@mlflow"),
    ],
)
def test_a_password_is_refused_and_never_repeated(write, key, url) -> None:
    """Credentials in a URL are refused wherever they stand; the message does not show them."""
    with pytest.raises(SpecError) as caught:
        load_spec(write(SPACE), [f"{key}={url}"])
    (problem,) = caught.value.problems
    assert (problem.where, problem.path) == (f"-o {key}", key)
    for secret in ("hunter2", "er2@"):
        assert secret not in str(caught.value)


def test_all_problems_come_at_once_in_reading_order(refused) -> None:
    """One run shows every mistake of the file and of the options, sorted by line."""
    text = """\
name: a b
search: {trials: 0}
train:
  iterations: 0
  critic: {stepz: 1}
space:
  generator.width: {int: [0, 64]}
  loss.lambda: {log: [0, 1]}
ledger: nonsense
"""
    problems = refused(text, "budget.hours=-1", "budget")
    places = [(problem.where, problem.path) for problem in problems]
    assert places == [
        ("-o budget", ""),
        ("-o budget.hours", "budget.hours"),
        ("a.yaml:1", "name"),
        ("a.yaml:2", "search.trials"),
        ("a.yaml:4", "train.iterations"),
        ("a.yaml:5", "train.critic.stepz"),
        ("a.yaml:7", "space.generator.width.int"),
        ("a.yaml:8", "space.loss.lambda.log"),
        ("a.yaml:8", "space.loss.lambda"),
        ("a.yaml:9", "ledger"),
    ]
