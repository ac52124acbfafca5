"""Every mistake that a search file can hold: the exact place, and a rule in plain words."""

from __future__ import annotations

import pytest
from synrep_search.errors import SpecError
from synrep_search.search_file import load_spec
from synrep_search.search_file.samplers import SAMPLERS

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
        "is not a field of synrep's configuration: did you mean generator.width?; valid: generator",
    ),
    (
        "train: {iteration: 3}",
        2,
        "train.iteration",
        "is not a field of synrep's configuration: did you mean iterations?; valid: seed, iter",
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
        "kcs.weighting is a single value: give a family",
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
    (
        "data:\n  noise: 3",
        3,
        "data.noise",
        "is not a field of synrep's configuration: did you mean d",
    ),
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
    ("search: {sampler: tpe}", 2, "search.sampler", "needs one of tpe, random, gp, "),
    (
        "search: {sampler: {tpe: {}, random: {}}}",
        2,
        "search.sampler",
        f"needs one of {', '.join(SAMPLERS)}, e.g. {{tpe: {{seed: 0}}}}, got",
    ),
    (
        "search: {sampler: {tpee: {}}}",
        2,
        "search.sampler.tpee",
        f'unknown sampler "tpee": did you mean tpe?; valid: {", ".join(SAMPLERS)}',
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
        'unknown rule of early stopping "asah": did you mean asha?; valid: asha, median',
    ),
    (
        "search: {early_stopping: asha}",
        2,
        "search.early_stopping",
        'needs one of asha, median, none, e.g. {asha: {grace: 0.1}}, got "asha"',
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
    assert "belongs to none of the families band" in problem.rule
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
        (
            "{family: uniform}",
            "",
            '{"family": "uniform"} belongs to none of the families tanh, band',
        ),
        ("tanh", "", '"tanh" belongs to none of the families tanh, band'),
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
        ("storage", "s3://hunter2@bucket"),
        ("storage", "s3://bucket?key=hunter2"),
        ("tracking.uri", "http://mlflow?api_key=hunter2"),
        ("ledger", "'postgresql://user:a hunter2@db/x'"),
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


def test_a_storage_of_an_unknown_kind_is_refused(refused) -> None:
    """Before anything is started, with the kinds there are."""
    (problem,) = refused(f"{SPACE}storage: foo://bucket/x\n")
    assert (problem.where, problem.path) == ("a.yaml:2", "storage")
    assert "file, s3, gs" in problem.rule
    assert "foo://bucket/x" in problem.rule


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
