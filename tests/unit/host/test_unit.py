"""The unit file: what systemd would read out of it."""

from __future__ import annotations

import configparser
import errno
import os
from pathlib import Path

import pytest

from circus_cg.errors import HostError
from circus_cg.host import unit

HARDENING = (
    "Protect",
    "Private",
    "Restrict",
    "NoNew",
    "SystemCall",
    "Capability",
    "Lock",
    "Memory",
    "CPU",
    "IO",
    "User",
)


def parsed(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=True, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text)
    return parser


@pytest.mark.parametrize("user", [False, True])
def test_the_daemon_gets_what_its_groups_and_its_workers_need(user: bool) -> None:
    reload = ["/x/circus-cg", "ctl", "--name", "shop", "upgrade"]
    text = unit.text("shop", ["/x/circus-cg", "run", "/etc/shop.yaml"], reload, user=user)
    service = dict(parsed(text)["Service"])
    assert {
        "Type": "notify",
        "NotifyAccess": "main",
        "Delegate": "yes",
        "KillMode": "mixed",
        "OOMPolicy": "continue",
        "TasksMax": "infinity",
        "Restart": "on-failure",
        "ExecStart": "/x/circus-cg run /etc/shop.yaml",
        "ExecReload": "/x/circus-cg ctl --name shop upgrade",
    }.items() <= service.items()
    assert (
        float(service["WatchdogSec"]) > 2 * 30
    )  # the keeper replaces a silent arbiter after 30 s, and has half its time
    assert not [key for key in service if key.startswith(HARDENING)]


def test_a_stop_has_the_time_that_the_workers_have_and_some_more() -> None:
    def stop(seconds: float) -> str:
        return parsed(unit.text("x", ["/x"], ["/x"], user=False, longest_stop=seconds))["Service"]["TimeoutStopSec"]

    assert (stop(0), stop(60), stop(60.5)) == ("30", "90", "91")


def test_only_root_can_ask_to_be_spared_by_the_oom_killer() -> None:
    assert "OOMScoreAdjust" in unit.text("x", ["/x"], ["/x"], user=False)
    assert "OOMScoreAdjust" not in unit.text("x", ["/x"], ["/x"], user=True)
    assert parsed(unit.text("x", ["/x"], ["/x"], user=True))["Install"]["WantedBy"] == "default.target"
    assert parsed(unit.text("x", ["/x"], ["/x"], user=False))["Install"]["WantedBy"] == "multi-user.target"


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("/opt/a b/run", '"/opt/a b/run"'),
        ("50%", "50%%"),
        ("$HOME", "$$HOME"),
        ('a"b\\c', '"a\\"b\\\\c"'),
        ("", '""'),
        ("a;b", '"a;b"'),
        ("/plain-path_1.yaml", "/plain-path_1.yaml"),
    ],
)
def test_a_word_of_the_command_line_arrives_as_it_is(word: str, written: str) -> None:
    text = unit.text("x", ["/x", word], ["/x", word], user=False)
    service = parsed(text)["Service"]
    assert service["ExecStart"] == service["ExecReload"] == f"/x {written}"


def test_a_unit_is_written_whole_once_and_readable_by_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / unit.unit("shop")
    assert unit.write(path, "one\n")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("one\n", 0o644)
    assert not unit.write(path, "one\n")
    assert unit.write(path, "two\n")
    assert [entry.name for entry in path.parent.iterdir()] == ["circus-cg-shop.service"]
    assert path.read_text() == "two\n"


def test_a_path_that_is_not_utf8_makes_no_unit_for_systemd_takes_none() -> None:
    with pytest.raises(HostError, match=r"'/etc/\\udce9\.yaml' in a unit: not UTF-8.*; rename it"):
        unit.text("x", ["/x", "run", "/etc/\udce9.yaml"], ["/x"], user=False)


def test_a_unit_that_is_not_utf8_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "x.service"
    path.write_bytes(b"# \xe9\n")
    assert unit.write(path, "# \u00e9\n")
    assert path.read_bytes() == b"# \xc3\xa9\n"


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(HostError, match="No space left"):
        unit.write(tmp_path / "x.service", "text")
    assert not list(tmp_path.iterdir())


def test_where_it_can_not_be_written_the_remedy_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HostError, match=r"^cannot write .*/file/x\.service: .*; run this as root, or --print it"):
        unit.write(tmp_path / "file" / "x.service", "text")


@pytest.mark.parametrize(("said", "base"), [("", "/home/x/.config"), ("here", "/home/x/.config"), ("/own", "/own")])
def test_a_users_unit_belongs_where_systemd_looks(monkeypatch: pytest.MonkeyPatch, said: str, base: str) -> None:
    monkeypatch.setenv("HOME", "/home/x")
    monkeypatch.setenv("XDG_CONFIG_HOME", said)
    assert unit.directory(user=True) == Path(base, "systemd/user")
    assert unit.directory(user=False) == Path("/etc/systemd/system")
