"""The command line of a running daemon, as far as it can be seen without one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pytest
import zmq
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from circus_cg import errors
from circus_cg.arbiter.commands import COMMANDS
from circus_cg.cli.ctl import ctl, parameters
from circus_cg.cli.ctl.change import STREAMS, pairs
from circus_cg.cli.ctl.exec import MORE
from circus_cg.cli.ctl.seconds import LONGEST
from circus_cg.cli.ctl.watching import Interrupt
from circus_cg.cli.main import main
from circus_cg.cli.output import aligned, coloured
from circus_cg.cli.top import top
from circus_cg.config.schema import OPTIONS
from circus_cg.rpc import curve, keyring
from circus_cg.spec import WatcherSpec

CONTEXT = click.Context(ctl)
VERBS = ctl.list_commands(CONTEXT)


def verb(name: str) -> click.Command:
    found = ctl.get_command(CONTEXT, name)
    assert found is not None
    return found


def test_every_command_of_the_daemon_has_a_verb_and_no_verb_lacks_one() -> None:
    """`top` has a verb of its own beside `ctl`; the keeper is asked for an upgrade, nobody for a shell."""
    assert set(VERBS) == {*COMMANDS, "upgrade", "shell"} - {"top"}


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"top"}))
def test_every_verb_has_an_example_and_json(name: str) -> None:
    assert f"Example: circus-cg ctl {name}" in " ".join((verb(name).help or "").split())
    assert "--json" in [option for one in verb(name).params for option in one.opts]


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["a=1"], {"a": "1"}),
        (["a", "1", "b=2"], {"a": "1", "b": "2"}),
        (["a", "x=y"], {"a": "x=y"}),
        (["env.A=x=y"], {"env.A": "x=y"}),
        (["a="], {"a": ""}),
        (["a=null"], {"a": None}),
        (["stdout=null", "stderr", "null"], {"stdout": "null", "stderr": "null"}),
        (['a=["x", 1]'], {"a": ["x", 1]}),
        (['a={"x": 1}'], {"a": {"x": 1}}),
    ],
)
def test_options_are_written_in_two_ways(words: list[str], options: dict[str, object]) -> None:
    assert pairs(words) == options


def test_null_stays_a_word_where_the_configuration_has_it_as_one() -> None:
    assert {key for key, option in OPTIONS[WatcherSpec].items() if "null" in option.words} == STREAMS


@pytest.mark.parametrize("words", [["a"], ["a=1", "b"], ["a=[1"], ["a={"]])
def test_half_an_option_is_refused(words: list[str]) -> None:
    with pytest.raises(click.UsageError):
        pairs(words)


def test_columns_are_aligned() -> None:
    assert aligned(("NAME", "PID"), [("a", "5"), ("longer", "1234")], right={"PID"}) == [
        "NAME     PID",
        "a          5",
        "longer  1234",
    ]


def test_a_state_is_coloured_unless_nobody_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    (_, row) = aligned(("STATUS",), [("active",)])
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert coloured(row) == "\x1b[32mactive\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert coloured(row) == "active"


@pytest.mark.parametrize(
    ("argv", "status", "told"),
    [
        (["ctl", "statsu"], 2, "did you mean 'stats'"),
        (["ctl", "set", "w", "x"], 2, "has no value"),
        (["ctl", "rm"], 2, "no watcher was named"),
        (["ctl", "signal", "w", "x", "HUP"], 2, "at most two pids"),
        (["ctl", "--name", "../x", "ps"], 2, "no daemon's name"),
        (["ctl", "status"], 5, "start it: circus-cg run CONFIG"),
        (["ctl", "--timeout", "24d", "status"], 5, "start it: circus-cg run CONFIG"),
        (["ctl", "--timeout", "inf", "status"], 2, "'--timeout': 'inf' is wrong; expected a time such as 30s"),
        (["ctl", "--timeout", "nan", "status"], 2, "'--timeout': 'nan' is wrong; expected a time such as 30s"),
        (["ctl", "--timeout", "-1", "status"], 2, "'--timeout': '-1' is wrong; expected a time such as 30s"),
        (["ctl", "--timeout", "1000000000", "status"], 2, "'1000000000' is too long; expected at most 24d"),
        (["top", "--timeout", "25d"], 2, "'--timeout': '25d' is too long; expected at most 24d"),
        (["top", "--delay", "30d"], 2, "'--delay': '30d' is too long; expected at most 24d"),
        (["ctl", "status", "--watch", "30d"], 2, "'--watch': '30d' is too long; expected at most 24d"),
        (["ctl", "status", "--watch", "web"], 2, "'web' is wrong; expected a time such as 30s, 500ms, 2m or a number"),
        (["ctl", "exec", "--timeout", "25d", "web", "true"], 2, "'--timeout': '25d' is too long; expected at most 24d"),
        (["ctl", "history", "--since", "365d"], 5, "start it: circus-cg run CONFIG"),
    ],
)
def test_a_mistake_has_its_status_and_says_what_to_do(
    argv: list[str], status: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIRCUS_CG_RUNTIME_DIR", str(tmp_path))
    done = CliRunner().invoke(main, argv)
    assert (done.exit_code, told in done.stderr) == (status, True), done.stderr


@pytest.mark.parametrize(
    ("verb", "told"),
    [
        ("listen", "cannot listen from afar: what circus's clients hear is local; use events --follow"),
        ("upgrade", "cannot upgrade from afar: its keeper is asked, and hears its own host alone; log in there"),
    ],
)
def test_what_only_a_daemon_here_can_do_is_refused_from_afar_and_asks_nobody(
    verb: str, told: str, tmp_path: Path
) -> None:
    key = keyring.make_client(tmp_path / "own", curve.fresh("alice"))
    where = ["--endpoint", "tcp://nobody.invalid:1", "--server-key", "a" * 64, "--client-key", str(key)]
    done = CliRunner().invoke(main, ["ctl", *where, verb])
    assert (done.exit_code, done.stderr) == (1, f"circus-cg: {told}\n")


def test_a_relative_runtime_directory_is_a_mistake_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIRCUS_CG_RUNTIME_DIR", "run")
    done = CliRunner().invoke(main, ["ctl", "status"])
    assert (done.exit_code, "CIRCUS_CG_RUNTIME_DIR='run': not an absolute path" in done.stderr) == (3, True)
    assert complete("ctl", "status", "w") == []


def test_every_errors_status_is_in_the_one_table() -> None:
    classes = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, Exception)]
    assert {getattr(one, "exit_status", None) for one in classes} | {0} == set(errors.EXIT_STATUSES)


def complete(*words: str) -> list[str]:
    completer = ShellComplete(main, {}, "circus-cg", "_CIRCUS_CG_COMPLETE")
    return [item.value for item in completer.get_completions(list(words[:-1]), words[-1])]


def test_verbs_and_options_are_completed() -> None:
    assert {"start", "stop", "stats", "status"} <= set(complete("ctl", "st"))
    assert "--watch" in complete("ctl", "ps", "--w")


def test_names_are_completed_to_nothing_and_no_word_when_no_daemon_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CIRCUS_CG_RUNTIME_DIR", str(tmp_path))
    assert complete("ctl", "status", "w") == []
    assert complete("ctl", "--name", "../x", "status", "w") == []
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon with two watchers, which is asked where `--name shop` came to; no host is known."""

    class Session:
        def call(self, command: str, timeout: float) -> dict[str, list[str]]:
            return {"watchers": ["jobs", "web"]}

    def opened(options: Mapping[str, Any]) -> Session:
        assert (options["name"], options["host"], options["timeout"]) == ("shop", None, 5.0)
        return Session()

    monkeypatch.setattr(parameters, "open_session", opened)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("path", [*(["ctl", "--name", "shop", verb] for verb in VERBS), ["top", "--name", "shop"]])
def test_every_argument_and_option_of_every_verb_can_be_completed(path: list[str]) -> None:
    command = top if path[0] == "top" else verb(path[-1])
    arguments = [one.name for one in command.params if isinstance(one, click.Argument)]
    for position, name in enumerate(arguments):
        found = complete(*path, *["x"] * position, "w")
        if name in ("name", "names", "watcher") and path[-1] != "add":  # a watcher that is to come is nobody's
            assert found == ["web"]
    for option in command.params:
        if isinstance(option, click.Option) and not option.is_flag:
            found = complete(*path, option.opts[0], "w")
            assert found == (["web"] if option.name == "watchers" else []), option


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_each_shell_gets_its_script(shell: str) -> None:
    done = CliRunner().invoke(main, ["completion", shell])
    assert done.exit_code == 0 and "_CIRCUS_CG_COMPLETE" in done.output


def test_the_longest_time_can_be_waited_for() -> None:
    """What is waited for is there already."""
    with Interrupt() as interrupt:
        interrupt._on_signal(2, None)
        interrupt.pause(LONGEST)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with context, context.socket(zmq.PULL) as pulled, context.socket(zmq.PUSH) as pushed:
        pulled.bind("inproc://here")
        pushed.connect("inproc://here")
        pushed.send(b"")
        assert pulled.poll(int((LONGEST + MORE) * 1000))
