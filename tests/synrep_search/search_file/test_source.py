"""The YAML that is read, the YAML that is refused, and that nothing else ever comes out."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from synrep_search.errors import Problem, SpecError
from synrep_search.search_file import SearchSpec, load_spec
from synrep_search.search_file.source import Origin, Unreadable, parse

ORIGIN = Origin("a.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5),
        ("-1E+3", -1000.0),
        (".5", 0.5),
        ("3.", 3.0),
        ("012", 12),
        ("0o17", 15),
        ("0xff", 255),
        ("-7", -7),
        ("true", True),
        ("False", False),
        ("off", "off"),
        ("no", "no"),
        ("~", None),
        ("", None),
        ("'5'", "5"),
        ('"null"', "null"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("|\n  5\n", "5\n"),
    ],
)
def test_scalars_follow_the_core_schema(text, value) -> None:
    """Numbers, truth values and null are those of YAML 1.2; everything else is a word."""
    got = parse(text, ORIGIN).plain()
    assert got == value
    assert type(got) is type(value)


def test_every_node_knows_its_line(tmp_path) -> None:
    """A mapping's values have the line of their key, a list's items their own."""
    text = "a: 1\nb:\n  c:\n\n    - 1\n    - {d: 2}\n"
    root = parse(text, Origin("x.yaml", tmp_path, " (note)"))
    assert root.plain() == {"a": 1, "b": {"c": [1, {"d": 2}]}}
    assert root.at(["b"]).where == "x.yaml:2 (note)"
    assert root.at(["b", "c"]).where == "x.yaml:3 (note)"
    assert root.at(["b", "c", 0]).where == "x.yaml:5 (note)"
    assert root.at(["b", "c", 1, "d"]).where == "x.yaml:6 (note)"
    assert root.at(["b", "c", 1, "nothing", 7]).where == "x.yaml:6 (note)"


@pytest.mark.parametrize(
    ("text", "where", "rule"),
    [
        ("a: 1\nb: [1, 2\n", "a.yaml:3:1", "not valid YAML: expected ',' or ']'"),
        ("a: 1\n\tb: 2\n", "a.yaml:2:1", "not valid YAML: found character '\\t'"),
        ("a: 'x", "a.yaml:1:6", "not valid YAML: found unexpected end of stream"),
        ("a: \x00", "a.yaml", "not valid YAML: "),
        ("a: 1\na: 2\n", "a.yaml:2", 'the key "a" is given twice, first at a.yaml:1'),
        ("x: {b: 1, b: 2}\n", "a.yaml:1", 'the key "b" is given twice, first at a.yaml:1'),
        ("a: &x 1\nb: *x\n", "a.yaml:1:4", "anchors (&) and aliases (*) are not supported"),
        ("b: *x\n", "a.yaml:1:4", "anchors (&) and aliases (*) are not supported"),
        ("a: !!python/name:os.system 1", "a.yaml:1:4", "tags such as "),
        ("a: !thing {}", "a.yaml:1:4", "tags such as "),
        ("a: .inf", "a.yaml:1:4", ".inf is not a number that a search can use"),
        ("a: .nan", "a.yaml:1:4", ".nan is not a number that a search can use"),
        ("a: 1e999", "a.yaml:1:4", '"1e999" is too large a number'),
        ("a: 99999999999999999999", "a.yaml:1:4", "the number does not fit into 64 bits"),
        ("a: 9" + "9" * 5000, "a.yaml:1:4", "the number does not fit into 64 bits"),
        ("[1]: 2", "a.yaml:1:1", "a key must be a word, not a list or a mapping"),
        ("a: 1\n---\nb: 2\n", "a.yaml:2", "only one document"),
        ("[" * 30, "a.yaml:1:17", "nested more than 16 deep"),
        ("- a\n", "a.yaml:1", 'must be a mapping of sections, got ["a"]'),
        ("text", "a.yaml:1", 'must be a mapping of sections, got "text"'),
        ('a: "\\ud800"', "a.yaml:1:4", "an unpaired surrogate is not a character"),
    ],
)
def test_what_is_refused(refused, text, where, rule) -> None:
    """Broken YAML and what a search file has no use for: one problem, with line and column."""
    (problem,) = refused(text)
    assert problem.where == where
    assert problem.path == ""
    assert problem.rule.startswith(rule)


def test_aliases_cannot_blow_up(refused) -> None:
    """A file that would grow without bound is refused at its first anchor."""
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(24)
    )
    (problem,) = refused(bomb)
    assert problem.where == "a.yaml:1:4"


def test_a_large_file_is_refused_unread(refused) -> None:
    """What is above one megabyte is not a search file."""
    (problem,) = refused("# " + "x" * 1_000_000)
    assert problem.where == "a.yaml"
    assert problem.rule == "larger than 1000000 bytes: not a search file"


def test_text_that_is_not_utf8_is_refused(write) -> None:
    """A file in another encoding is refused with the line of the first foreign byte."""
    path = write("")
    path.write_bytes(b"name: a\n# caf\xe9\n")
    with pytest.raises(SpecError, match=r"a\.yaml:2: is not UTF-8 text"):
        load_spec(path)


def test_a_byte_order_mark_is_no_obstacle(write) -> None:
    """Editors that put a mark in front of UTF-8 text are tolerated."""
    path = write("")
    path.write_bytes(b"\xef\xbb\xbfspace: {critic.steps: {int: [1, 2]}}")
    assert load_spec(path).space.names["critic.steps"].high == 2


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["paper", "tanh", "-1", "1e-3", "kind", "none", "[", "{", "?", "&a", "*a"])
)
words = st.sampled_from(
    [
        *("name", "extends", "trainer", "data", "train", "space", "search", "start_from", "sum"),
        *("resources", "budget", "failures", "storage", "ledger", "tracking", "seed", "poses"),
        *("kcs.weighting", "kcs", "weighting", "critic.steps", "loss.lambda_angle", "one_of"),
        *("float", "int", "log", "int_log", "choice", "simplex", "step", "size", "max", "tanh"),
        *("free", "weights", "band", "reach", "family", "sampler", "tpe", "asha", "minimize"),
        *("trials", "early_stopping", "cpu", "fuse", "uri", "kind", "grace", "random"),
    ]
) | st.text(max_size=4)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
    max_leaves=25,
)


def as_yaml(value: object) -> str:
    """A tree as flow YAML, careless about quoting, so that some of it is broken."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {as_yaml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(as_yaml(inner) for inner in value) + "]"
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and not math.isfinite(value):
        return f".{value}".replace(".-", "-.")
    return str(value)


def problems_of(path, text: str, overrides: tuple[str, ...]) -> list[Problem] | None:
    """What is wrong with a text, or None where it is read and survives JSON."""
    path.write_bytes(text.encode("utf-8", errors="surrogatepass"))
    try:
        spec = load_spec(path, overrides)
    except SpecError as error:
        return error.problems
    assert SearchSpec.model_validate_json(spec.model_dump_json()) == spec
    return None


def read_or_refuse(path, text: str, overrides: tuple[str, ...] = ()) -> None:
    """Nothing but a specification or a list of problems with places may come out."""
    problems = problems_of(path, text, overrides)
    assert problems is None or problems
    assert all(problem.where and problem.rule for problem in problems or [])


FUZZ = settings(
    max_examples=80,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@FUZZ
@given(text=st.text(max_size=200))
def test_any_text_is_read_or_refused(tmp_path, text) -> None:
    """Whatever the bytes, there is a specification or a list of problems."""
    read_or_refuse(tmp_path / "a.yaml", text)


@FUZZ
@given(text=st.text(alphabet="ab:{}[],-|>&*!%@`'\"#? \n\t\\.0", max_size=60))
def test_any_punctuation_is_read_or_refused(tmp_path, text) -> None:
    """The same with the characters that mean something in YAML."""
    read_or_refuse(tmp_path / "a.yaml", text)


@FUZZ
@given(tree=st.dictionaries(words, trees, max_size=6), searched=trees)
def test_any_tree_is_read_or_refused(tmp_path, tree, searched) -> None:
    """The same with keys of the vocabulary in the wrong places and with the wrong values."""
    tree = tree | {"space": {"kcs.weighting": searched, "critic.steps": searched}}
    read_or_refuse(tmp_path / "a.yaml", as_yaml(tree))


@FUZZ
@given(key=words, inner=words, value=trees)
def test_any_override_is_read_or_refused(tmp_path, key, inner, value) -> None:
    """The same for overrides on a good file."""
    text = "space: {critic.steps: {int: [1, 2]}}"
    read_or_refuse(tmp_path / "a.yaml", text, (f"{key}.{inner}={as_yaml(value)}",))


def test_the_parser_itself_raises_one_kind_of_error() -> None:
    """Whoever calls the parser catches one exception, with a position where there is one."""
    with pytest.raises(Unreadable) as caught:
        parse("a: [", ORIGIN)
    assert (caught.value.line, caught.value.column) == (1, 5)
