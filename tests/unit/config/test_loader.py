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
