"""The loader reads what only root or the caller can have written, and says why when it does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from circus_cg.config import loader
from circus_cg.errors import ConfigError
from circus_cg.spec import ArbiterSpec

TEXT = "name: shop\nwatchers: {web: {cmd: serve}}\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "shop.yaml"
    path.touch(mode=0o600)
    path.write_text(TEXT)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as raised:
        loader.load(path)
    (line,) = raised.value.problems
    return line.replace(str(path), "FILE").replace(str(path.parent), "DIR")


def test_a_file_of_one_s_own_is_read(config: Path) -> None:
    assert loader.load(config).name == "shop"


def test_a_byte_order_mark_is_no_part_of_the_text(config: Path) -> None:
    config.write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    assert loader.load(config).name == "shop"


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.yaml") == "FILE: cannot read: No such file or directory"
    assert refusal(tmp_path / "none" / "none.yaml") == "FILE: cannot read: No such file or directory"
    assert refusal(tmp_path / "a\0b") == "FILE: cannot read: embedded null byte"


def test_a_directory_or_a_pipe_is_refused_and_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path, tmp_path / "pipe"):
        assert refusal(path) == "FILE: cannot read: not a regular file; name one"


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_writable_by_others_is_refused(config: Path, mode: int) -> None:
    config.chmod(mode)
    assert refusal(config) == "FILE: cannot trust it: writable by others; chmod go-w FILE"


@pytest.mark.parametrize("mode", [0o770, 0o777])
def test_a_file_in_a_directory_writable_by_others_is_refused(config: Path, mode: int) -> None:
    config.parent.chmod(mode)
    assert refusal(config) == "FILE: cannot trust it: DIR is writable by others; chmod go-w DIR"


def test_a_sticky_directory_protects_its_files(config: Path) -> None:
    config.parent.chmod(0o1777)
    assert loader.load(config).name == "shop"


def test_a_link_is_judged_by_where_it_stands_and_where_it_leads(config: Path, tmp_path: Path) -> None:
    link = tmp_path / "links" / "shop.yaml"
    link.parent.mkdir(mode=0o700)
    link.symlink_to(config)
    assert loader.load(link).name == "shop"
    link.parent.chmod(0o777)
    assert "links is writable by others" in refusal(link) or "DIR is writable by others" in refusal(link)
    link.parent.chmod(0o700)
    tmp_path.chmod(0o777)
    assert "is writable by others" in refusal(link)


@pytest.mark.host_may_lack("only root can give a file away")
@pytest.mark.skipif(os.geteuid() != 0, reason="not root")
def test_another_user_s_file_or_directory_is_refused(config: Path) -> None:
    os.chown(config, 12345, -1)
    assert refusal(config) == "FILE: cannot trust it: user 12345 owns FILE; chown root FILE"
    os.chown(config, 0, -1)
    os.chown(config.parent, 12345, -1)
    assert refusal(config) == "FILE: cannot trust it: user 12345 owns DIR; chown root DIR"


def test_a_huge_file_is_refused_unread(config: Path) -> None:
    os.truncate(config, loader.MAX_SIZE + 1)
    assert refusal(config) == f"FILE: cannot read: over {loader.MAX_SIZE} bytes; split it"


def test_what_is_no_utf_8_is_told_with_its_line(config: Path) -> None:
    config.write_bytes(b"name: x\nwatchers: \xff\n")
    assert refusal(config) == "FILE:2: the byte 0xff is no UTF-8; save the file as UTF-8"
    config.write_bytes("name: x".encode("utf-16"))
    assert refusal(config) == "FILE:1: the byte 0xff is no UTF-8; save the file as UTF-8"


def test_the_command_line_s_word_goes_before_the_file_s() -> None:
    spec = ArbiterSpec(name="shop", cgroup_root="/apps")
    assert loader.override(spec, name=None, cgroup_root=None) == spec
    assert loader.override(spec, name="other", cgroup_root="/") == ArbiterSpec(name="other", cgroup_root="/")


@pytest.mark.parametrize(("name", "root", "option"), [("../x", None, "--name"), (None, "../x", "--cgroup-root")])
def test_the_command_line_s_word_is_judged_too(name: str | None, root: str | None, option: str) -> None:
    with pytest.raises(ConfigError, match=f"^{option}: "):
        loader.override(ArbiterSpec(), name=name, cgroup_root=root)


# --- circus.ini and what it includes


@pytest.fixture
def circus(tmp_path: Path) -> Path:
    """A circus.ini that includes all of conf.d, in which there is one file."""
    write(tmp_path / "circus.ini", "[circus]\nname = shop\ninclude = conf.d/*.ini\n[watcher:a]\ncmd = main\n")
    (tmp_path / "conf.d").mkdir(mode=0o700)
    write(tmp_path / "conf.d/b.ini", "[watcher:b]\ncmd = b\n[watcher:a]\ncmd = too late\nargs = x\n")
    return tmp_path / "circus.ini"


def write(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path


INCLUDING = "DIR/circus.ini:3: cannot include 'conf.d/*.ini':"


def refusals(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        loader.load(path)
    return [line.replace(str(path.parent), "DIR") for line in raised.value.problems]


def commands(path: Path) -> list[tuple[str, ...]]:
    return [one.cmd for one in loader.load(path).watchers]


def test_the_ending_of_the_name_chooses_the_reader(tmp_path: Path) -> None:
    assert commands(write(tmp_path / "x.ini", "[watcher:a]\ncmd = a\n")) == [("a",)]
    assert commands(write(tmp_path / "x.yaml", "watchers: {a: {cmd: a}}\n")) == [("a",)]
    assert commands(write(tmp_path / "x", "watchers: {a: {cmd: a}}\n")) == [("a",)]


def test_of_each_kind_of_file_is_told_what_stays_as_written(tmp_path: Path) -> None:
    circus = "[watcher:a]\ncmd = a\nstdout_stream.filename = /a-$(circus.wid)\n"
    ours = "watchers:\n  a: {cmd: a,\n   stdout: /a-$(circus.wid)}\n"
    for name, text in (("x.ini", circus), ("x.yaml", ours)):
        (said,) = loader.load_with_notices(write(tmp_path / name, text)).notices
        assert said.line == 3 and said.text.startswith("stdout: $(circus.wid) stays as written: it ")


def test_the_main_file_comes_before_what_it_includes(circus: Path) -> None:
    assert commands(circus) == [("main", "x"), ("b",)]
    assert loader.load_with_notices(circus).notices == ()


def test_included_files_come_in_the_order_of_their_names_those_of_a_directory_last(circus: Path) -> None:
    for name in ("c", "a", "d"):
        write(circus.parent / f"conf.d/{name}.ini", f"[watcher:b]\ncmd = {name}\n[circus]\ninclude = more/*\n")
    assert commands(circus)[1] == ("a",)
    circus.write_text("[circus]\ninclude_dir = conf.d\ninclude = conf.d/d.ini\n")
    assert commands(circus)[1] == ("d",)


def test_an_included_file_includes_nothing(circus: Path) -> None:
    write(circus.parent / "conf.d/a.ini", "[circus]\ninclude = ../more.ini\n")
    write(circus.parent / "more.ini", "[watcher:more]\ncmd = more\n")
    assert ("more",) not in commands(circus)


def test_a_pattern_that_finds_nothing_is_noted_a_name_is_refused(circus: Path) -> None:
    circus.write_text("[circus]\ninclude = no/*.ini\n[watcher:a]\ncmd = a\n")
    (said,) = loader.load_with_notices(circus).notices
    assert f"{said.line}: {said.text}" == "2: 'no/*.ini' leads to no further file"
    circus.write_text("[circus]\ninclude = none.ini\n")
    assert refusals(circus) == ["DIR/circus.ini:2: cannot include 'none.ini': cannot read: No such file or directory"]


def test_a_path_may_come_from_the_environment(circus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONF_D", str(circus.parent / "conf.d"))
    circus.write_text("[circus]\ninclude = $(circus.env.conf_d)/b.ini\n")
    assert commands(circus) == [("too", "late", "x"), ("b",)]


def test_an_included_file_must_be_as_trusted_as_the_main_one(circus: Path) -> None:
    included = circus.parent / "conf.d/b.ini"
    included.chmod(0o666)
    (said,) = refusals(circus)
    assert said == f"{INCLUDING} DIR/conf.d/b.ini: cannot trust it: writable by others; chmod go-w DIR/conf.d/b.ini"
    included.chmod(0o600)
    included.parent.chmod(0o777)
    assert "DIR/conf.d is writable by others" in refusals(circus)[0]


def test_a_link_out_of_the_directory_is_judged_by_where_it_leads(circus: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    target = write(elsewhere / "x.ini", "[watcher:x]\ncmd = x\n")
    (circus.parent / "conf.d/x.ini").symlink_to(target)
    assert ("x",) in commands(circus)
    elsewhere.chmod(0o777)
    assert "elsewhere is writable by others" in refusals(circus)[0]


def test_mistakes_of_all_files_are_told_at_once(circus: Path) -> None:
    write(circus.parent / "conf.d/c.ini", "[watcher:c]\nnumprocesses = x\n")
    write(circus.parent / "conf.d/d.ini", "nonsense\n")
    write(circus.parent / "conf.d/e.ini", "").write_bytes(b"[watcher:e]\ncmd = \xff\n")
    circus.write_text(circus.read_text() + "nice = 99\n")
    assert refusals(circus) == [
        f"{INCLUDING} DIR/conf.d/e.ini:2: the byte 0xff is no UTF-8; save the file as UTF-8",
        "DIR/circus.ini:6: nice in watcher 'a': 99 is out of range; expected -20 to 19",
        "DIR/conf.d/c.ini:1: missing key 'cmd' in [watcher:c]",
        "DIR/conf.d/c.ini:2: numprocesses in [watcher:c]: 'x' is wrong; expected a whole number",
        "DIR/conf.d/d.ini:1: expected a [section] before anything else, found 'nonsense'",
    ]


def test_too_many_or_too_large_files_are_refused(circus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "MAX_INCLUDES", 2)
    for name in ("c", "d"):
        write(circus.parent / f"conf.d/{name}.ini", "")
    assert refusals(circus) == [f"{INCLUDING} over 2 files; include fewer"]
    monkeypatch.undo()
    assert len(commands(circus)) == 2
    monkeypatch.setattr(loader, "MAX_SIZE", 100)
    write(circus.parent / "conf.d/c.ini", "#" * 90)
    assert refusals(circus) == [
        f"{INCLUDING} DIR/conf.d/c.ini: cannot read: over 100 bytes together; split the daemon",
    ]


def test_a_pipe_among_the_included_holds_nobody_up(circus: Path) -> None:
    os.mkfifo(circus.parent / "conf.d/p.ini", 0o600)
    assert refusals(circus) == [f"{INCLUDING} DIR/conf.d/p.ini: cannot read: not a regular file; name one"]


def test_a_directory_that_is_gone_is_the_root(circus: Path, tmp_path: Path) -> None:
    gone, before = tmp_path / "gone", os.getcwd()
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    try:
        spec = loader.load(circus).watchers[0]
    finally:
        os.chdir(before)
    assert spec.working_dir == "/"
