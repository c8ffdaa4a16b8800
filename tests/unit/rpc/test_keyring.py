"""Files of keys: believed only if nobody else can have written them, never half written, never overwritten."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from circus_cg.rpc import keyring
from circus_cg.rpc.keyring import KeyFileError
from circus_cg.rpc.keys import HEADER, KeyPair, read_authorized

PAIR = KeyPair("server", "a" * 64, "b" * 64)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    place = tmp_path / "deep" / "keys"
    keyring.make_server(place, PAIR)
    return place


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_made_is_ours_alone_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        keyring.make_server(tmp_path / "keys", PAIR)
        key = keyring.make_client(tmp_path / "own", PAIR._replace(name="alice"))
    finally:
        os.umask(before)
    modes = {path.name: mode(path) for place in ("keys", "own") for path in (tmp_path / place).iterdir()}
    assert modes == {"server.key": 0o600, "authorized": 0o600, "alice.key": 0o600, "alice.pub": 0o644}
    assert mode(tmp_path / "keys") == mode(tmp_path / "own") == 0o700
    assert PAIR.secret not in key.with_suffix(".pub").read_text()


def test_a_key_is_never_overwritten(directory: Path) -> None:
    with pytest.raises(KeyFileError, match="never overwritten"):
        keyring.make_server(directory, PAIR._replace(secret="c" * 64))
    assert keyring.read_server(directory) == PAIR


@pytest.mark.parametrize("bad", [0o640, 0o604, 0o620, 0o666])
def test_a_secret_that_others_can_read_or_write_is_not_used(directory: Path, bad: int) -> None:
    (directory / "server.key").chmod(bad)
    with pytest.raises(KeyFileError, match="chmod 600"):
        keyring.read_server(directory)


def test_a_list_that_others_can_write_is_not_believed(directory: Path) -> None:
    path = directory / "authorized"
    path.chmod(0o644)
    assert keyring.trusted_text(path, "", secret=False) == HEADER
    path.chmod(0o662)
    with pytest.raises(KeyFileError, match="others can write it"):
        keyring.trusted_text(path, "", secret=False)


def test_a_directory_that_others_can_write_is_not_believed(directory: Path) -> None:
    directory.chmod(0o777)
    with pytest.raises(KeyFileError, match="others can write"):
        keyring.read_server(directory)


def test_a_link_to_where_others_can_write_is_not_believed(directory: Path, tmp_path: Path) -> None:
    open_place = tmp_path / "open"
    open_place.mkdir()
    (open_place / "theirs").write_text("x")
    (open_place / "theirs").chmod(0o600)
    open_place.chmod(0o777)
    (directory / "authorized").unlink()
    (directory / "authorized").symlink_to(open_place / "theirs")
    with pytest.raises(KeyFileError, match="others can write"):
        keyring.trusted_text(directory / "authorized", "", secret=False)


@pytest.mark.parametrize("kind", ["missing", "directory", "fifo", "bytes", "huge"])
def test_what_is_no_text_is_refused_and_nobody_waits_for_it(directory: Path, kind: str) -> None:
    path = directory / "authorized"
    path.unlink()
    match kind:
        case "directory":
            path.mkdir(mode=0o700)
        case "fifo":
            os.mkfifo(path, 0o600)
        case "bytes":
            path.write_bytes(b"\xff")
            path.chmod(0o600)
        case "huge":
            path.write_bytes(b"#" * (keyring.MAX_SIZE + 1))
            path.chmod(0o600)
    with pytest.raises(KeyFileError, match=r"cannot (read|use)"):
        keyring.trusted_text(path, "", secret=False)


def test_a_change_that_fails_leaves_the_list_as_it_was(directory: Path) -> None:
    def fails(text: str) -> str:
        raise KeyFileError("no")

    with pytest.raises(KeyFileError):
        keyring.change_authorized(directory, fails)
    keyring.change_authorized(directory, lambda text: f"{text}admin alice {'c' * 64}\n")
    text = keyring.trusted_text(directory / "authorized", "", secret=False)
    assert text.startswith(HEADER) and list(read_authorized(text).callers) == ["c" * 64]
    assert sorted(path.name for path in directory.iterdir()) == ["authorized", "server.key"]


def test_without_a_directory_the_remedy_is_told(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="make it: circus-cg keys"):
        keyring.read_server(tmp_path)
    with pytest.raises(KeyFileError, match="init"):
        keyring.change_authorized(tmp_path / "nowhere", str)
