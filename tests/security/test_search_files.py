"""Search files and names from strangers: read as data or refused, and shown harmlessly."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from rich.console import Console
from synrep_search.cli import main
from synrep_search.durability.ledger import Ledger
from synrep_search.errors import SpecError
from synrep_search.messages import TrialReport
from synrep_search.paths import SearchPaths
from synrep_search.search_file import load_spec
from synrep_search.terminal.progress import ProgressDisplay, TrialTable

from synrep.errors import InputError
from synrep.storage import Storage
from tests.security import seeds
from tests.security.test_poses import STEERING
from tests.services.trials import begin_trial

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Refused = Any
GOOD = "trainer: scripted\nspace: {x: {float: [0, 1]}}\nsearch: {minimize: loss}\n"
LAUGHS = "a0: &a0 [x, x]\n" + "".join(
    f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}, *a{i - 1}]\n" for i in range(1, 60)
)
FILES = {
    "a billion laughs": LAUGHS,
    "an alias of itself": "space: &a\n  x: *a\n",
    "merged keys": "base: &b {x: 1}\ntrain:\n  <<: *b\n",
    "a merge without alias": GOOD + "train: {<<: {iterations: 3}}\n",
    "python's tags": "name: !!python/object/apply:os.system ['touch trace']\n",
    "a tag of a module": "name: !!python/module:os ''\n",
    "a tag of its own": "%TAG ! tag:yaml.org,2002:python/\n---\nname: !name:os.system x\n",
    "a tag without a name": GOOD + "name: ! x\n",
    "a binary": "name: !!binary aGVsbG8=\n",
    "lists nested without end": "space: " + "[" * 100_000,
    "mappings nested without end": "".join(" " * i + "a:\n" for i in range(2000)),
    "flow nested without end": "space: " + "{a: " * 20_000,
    "questions nested without end": "? " * 20_000 + "a",
    "dashes nested without end": "- " * 50_000 + "a",
    "two documents": GOOD + "---\n" + GOOD,
    "two megabytes": "# " + "x" * 2_000_000,
    "a key twice": GOOD + "search: {}\n",
    "a number of many digits": GOOD.replace("1]", "9" * 100_000 + "]"),
    "a hexadecimal of many digits": GOOD.replace("1]", "0x" + "f" * 100_000 + "]"),
    "not a number": GOOD.replace("1]", ".nan]"),
    "a list as a key": GOOD + "? [a, b]\n: 1\n",
    "a zero": "name: 'a\0b'\n",
    "a zero written out": GOOD + 'name: "a\\0b"\n',
    "half a character": GOOD + 'name: "\\ud800"\n',
    "no text": GOOD.encode() + b"\xff\xfe",
    "controls": GOOD + f'name: "{STEERING.encode("unicode_escape").decode()}"\n',
    "controls in a key": GOOD + f'"{STEERING.encode("unicode_escape").decode()}": 1\n',
    "extending a device": "extends: /dev/zero\n",
    "extending a zero": 'extends: "a\\0b"\n',
    "extending a long name": f"extends: {'a' * 5000}\n",
    "extending itself": "extends: x.yaml\n",
    "extending a folder": "extends: .\n",
    "poses at a zero": GOOD.replace("trainer: scripted\n", "") + 'data: {poses: "a\\0b"}\n',
    "poses at a long name": GOOD.replace("trainer: scripted\n", "")
    + f"data: {{poses: {'a' * 5000}}}\n",
    "another trainer": "trainer: os:system\n" + GOOD.partition("\n")[2],
    "another trainer's module": "trainer: ../x\n" + GOOD.partition("\n")[2],
}


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_files_that_want_more_than_a_search(
    tmp_path: Path, refused: Refused, text: str | bytes
) -> None:
    """One message with the place of the mistake, soon, whatever the text would grow to."""
    file = tmp_path / "x.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)
    refused("synrep-search", "plan", file, says="in the search file")


@pytest.mark.parametrize(
    "name",
    ["../x", "..", ".", "a/b", "/etc/x", "a\\b", "-rf", "", "a b", "a\nb", "x" * 65, "é/é", "~"],
)
def test_names_of_searches_are_words(tmp_path: Path, refused: Refused, name: str) -> None:
    """A name becomes a folder, a key and a tag, so it can't lead anywhere."""
    file = tmp_path / "x.yaml"
    file.write_text(GOOD, encoding="utf-8")
    words = ("synrep-search", "launch", file, "--yes", "--local", "--home", tmp_path / "home")
    refused(*words, f"--name={name}", says="letters, digits")
    file.write_text(GOOD + f"name: {json.dumps(name)}\n", encoding="utf-8")
    refused(*words, says="letters, digits")


@pytest.mark.parametrize(
    "option",
    [
        "name=../x",
        "search.trials=1e999",
        "search.trials=" + "9" * 100_000,
        "x=" + "[" * 100_000,
        "x=!!python/name:os.system",
        "a" * 100_000 + "=1",
        "." * 1000 + "=1",
        "storage=",
        "extends=/etc/passwd",
        f"name={STEERING}",
        f"{STEERING}=1",
        "[red]=[/blue]",
    ],
)
def test_options_are_read_like_files(tmp_path: Path, refused: Refused, option: str) -> None:
    """The same parser, the same rules."""
    file = tmp_path / "x.yaml"
    file.write_text(GOOD, encoding="utf-8")
    refused("synrep-search", "plan", file, "-o", option, says="in the search file")


SECRET = "hunter2/@:x"
ADDRESSES = [
    ("storage", f"s3://key:{SECRET}@bucket/x"),
    ("storage", f"s3://bucket/x?secret_key={SECRET}"),
    ("storage", f"s3://bucket/x?region=y&session_token={SECRET}"),
    ("storage", f"gs://user:{SECRET}@bucket"),
    ("ledger", f"postgresql://user:{SECRET}@host/db"),
    ("ledger", f"postgresql+psycopg://user:{SECRET}@host/db"),
    ("ledger", f"postgresql://host/db?password={SECRET}"),
    ("ledger", f"postgresql://host/db?user=x&sslpassword={SECRET}"),
    ("tracking.uri", f"https://user:{SECRET}@mlflow"),
    ("tracking.uri", f"https://mlflow/?access_token={SECRET}"),
    ("tracking.uri", f"mysql://user:{SECRET}@host/db"),
]


@pytest.mark.parametrize(("key", "address"), ADDRESSES)
def test_addresses_with_credentials(
    tmp_path: Path, refused: Refused, key: str, address: str
) -> None:
    """They are refused in a file and in an option, and the message does not repeat them."""
    file = tmp_path / "x.yaml"
    section, _, name = key.partition(".")
    value = {name: address} if name else address
    file.write_text(GOOD + f"{section}: {json.dumps(value)}\n", encoding="utf-8")
    message = refused("synrep-search", "plan", file, says="holds a password or key")
    file.write_text(GOOD, encoding="utf-8")
    message += refused("synrep-search", "plan", file, "-o", f"{key}={address}", says="by the env")
    assert "hunter2" not in message


@pytest.mark.parametrize("uri", [address for key, address in ADDRESSES if key == "storage"])
def test_storages_with_credentials(uri: str) -> None:
    """Whoever opens one, also without a search file."""
    with pytest.raises(InputError, match="carries credentials") as caught:
        Storage.at(uri)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("uri", ["s3://bucket/x?region=us-east-1", "gs://bucket/a@b", "/a@b/c:d@e"])
def test_storages_without_credentials(uri: str) -> None:
    """An @ or a colon in a path is none."""
    assert Storage.at(uri).uri == uri


def test_resuming_from_an_address_with_credentials(tmp_path: Path, refused: Refused) -> None:
    """Nor are they taken on the command line."""
    uri = f"s3://key:{SECRET}@bucket/searches/x"
    message = refused("synrep-search", "resume", uri, "--home", tmp_path / "home", "--local")
    assert "hunter2" not in message


@pytest.fixture
def ledger(tmp_path: Path) -> Any:
    """A search whose words are markup and controls, with one trial."""
    file = tmp_path / "x.yaml"
    option = json.dumps(f"[red]a[/blue]{STEERING}")
    file.write_text(
        f"trainer: scripted\nspace: {{journal: {{choice: [{option}, b]}}}}\n"
        f"search: {{minimize: loss}}\ntracking: {{experiment: {option}}}\n",
        encoding="utf-8",
    )
    spec = load_spec(file)
    origin = {"id": "0", "code": "c", "data": "", "created": ""}
    opened = Ledger.create(f"sqlite:///{tmp_path / 'l.sqlite'}", spec, origin)
    yield opened
    opened.close()


@pytest.fixture
def shown() -> Callable[..., str]:
    """Function: calls it with a console -> what a terminal would get."""

    def show(call: Callable[[Console], Any]) -> str:
        text = io.StringIO()
        call(Console(file=text, width=200, force_terminal=True, color_system=None))
        return text.getvalue()

    return show


def harmless(text: str) -> bool:
    """Whether nothing in it steers a terminal."""
    return all(char.isprintable() or char == "\n" for char in text)


@pytest.mark.parametrize("line", [f"[red]a[/blue]{STEERING}", "[/]", "[link=x]y", ":warning: x"])
def test_lines_of_a_running_search(shown: Any, line: str) -> None:
    """Causes and addresses hold what they hold; brackets are no markup, which could be wrong."""
    text = shown(lambda console: ProgressDisplay(console).say(line))
    assert harmless(text)
    assert text.startswith(line[:5])


def test_tables_of_trials(ledger: Any, shown: Any) -> None:
    """Options that were searched are shown as they are."""
    begun = [begin_trial(ledger) for _ in range(8)]
    for trial in begun:
        report = {"number": trial.number, "iteration": 1, "metrics": {"loss": 1.0}}
        ledger.report(_report(trial, report), None, "")
    text = shown(lambda console: console.print(TrialTable(ledger)))
    assert "[red]a[/blue]" in text
    assert harmless(text)


def _report(trial: Any, given: dict[str, Any]) -> Any:
    return TrialReport(attempt=trial.attempt, time_ms=1, **given)


def test_messages_write_controls_out() -> None:
    """In every message of both programs."""
    message = str(InputError(f"place {STEERING}", f"rule {STEERING}", f"remedy {STEERING}"))
    assert harmless(message)
    assert "\\x1b]0;owned\\x07" in message


def test_a_ledger_that_is_no_database(tmp_path: Path, refused: Refused) -> None:
    """Whatever lies in a home, `status` says what is wrong with it."""
    for content in (b"", b"SQLite format 3\0" + b"\xff" * 5000, b"\x80\x04}."):
        folder = tmp_path / "home" / "x"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "ledger.sqlite").write_bytes(content)
        result = CliRunner().invoke(main, ["status", "x", "--home", str(tmp_path / "home")])
        assert result.exit_code == 2, result.output
        assert isinstance(result.exception, SystemExit)
        assert result.output.count("Error: ") == 1


def test_every_seed_is_a_good_file(tmp_path: Path) -> None:
    """What fuzzing starts from is accepted; else it would find nothing."""
    for number, text in enumerate((seeds.SPEC, seeds.FAMILIES)):
        path = tmp_path / f"{number}.yaml"
        path.write_bytes(text)
        assert load_spec(path).name
    path.write_bytes(b"name: 1\n")
    with pytest.raises(SpecError):
        load_spec(path)


def test_paths_of_a_search_stay_in_its_home(tmp_path: Path) -> None:
    """Those that are made of a good name."""
    paths = SearchPaths(tmp_path, "a.b-c_d")
    for path in (paths.folder, paths.best, paths.exports, paths.ledger_file):
        assert path.resolve().is_relative_to(tmp_path.resolve())
