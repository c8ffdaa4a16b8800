"""What /proc tells of a process, whatever that calls itself."""

from __future__ import annotations

import os
import pwd
import subprocess

import msgspec
import pytest

from circus_cg.host import processes


def test_words_that_are_not_utf8_are_told_so_that_json_carries_them() -> None:
    with subprocess.Popen([b"sl\xe9\xc3\xa9p", b"1000"], executable="/bin/sleep") as odd:
        try:
            (told,) = processes.details([odd.pid]).values()
        finally:
            odd.kill()
    assert told["cmdline"] == ["sl\\xe9ép", "1000"]
    msgspec.json.encode(told)


def test_so_is_a_users_name(monkeypatch: pytest.MonkeyPatch) -> None:
    own = pwd.getpwuid(os.getuid())
    odd = pwd.struct_passwd(("ren\udce9", *own[1:]))
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: odd)
    (told,) = processes.details([os.getpid()]).values()
    assert told["username"] == "ren\\xe9"
