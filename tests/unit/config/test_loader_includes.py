"""The loader finds included files, each once, and trusts them no more than the first one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from circus_cg.config import loader
from circus_cg.errors import ConfigError


class Place:
    """A directory of ours with a configuration in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str) -> Path:
        path = self.path / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(text)
        return path

    def watchers(self, include: str) -> list[str]:
        main = self.write("shop.yaml", f"include: {include}\n")
        return [watcher.name for watcher in loader.load(main).watchers]

    def problems(self, include: str) -> list[str]:
        with pytest.raises(ConfigError) as raised:
            self.watchers(include)
        return [line.replace(str(self.path), "DIR") for line in raised.value.problems]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    for name in ("b", "a", "c"):
        made.write(f"shop.d/{name}.yaml", f"watchers: {{{name}: {{cmd: x}}}}")
    made.write("shop.d/.hidden.yaml", "watchers: {hidden: {cmd: x}}")
    made.write("shop.d/README", "not a configuration: [")
    return made


def test_a_pattern_is_relative_to_the_including_file_and_sorted(place: Place) -> None:
    assert place.watchers("[shop.d/*.yaml]") == ["a", "b", "c"]


def test_a_relative_configuration_includes_beside_itself(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write("shop.yaml", "include: [shop.d/*.yaml]")
    monkeypatch.chdir(place.path)
    assert len(loader.load(Path("shop.yaml")).watchers) == 3
    monkeypatch.chdir(place.path / "shop.d")
    assert len(loader.load(Path("../shop.yaml")).watchers) == 3


def test_an_absolute_path_stays_one(place: Place) -> None:
    assert place.watchers(f"['{place.path}/shop.d/c.yaml']") == ["c"]


def test_a_file_is_read_once_though_two_items_lead_to_it(place: Place) -> None:
    os.symlink("a.yaml", place.path / "shop.d" / "z.yaml")
    assert place.watchers("[shop.d/b.yaml, shop.d/*.yaml, shop.yaml, '*.yaml']") == ["b", "a", "c"]


def test_a_pattern_may_lead_nowhere_and_a_plain_name_may_not(place: Place) -> None:
    assert place.watchers("['none/*.yaml', '*.nothing']") == []
    assert place.problems("[none.yaml]") == [
        "DIR/shop.yaml:1: include 'none.yaml': cannot read: No such file or directory"
    ]


def test_an_included_file_is_trusted_as_the_first_one_is(place: Place) -> None:
    (place.path / "shop.d" / "a.yaml").chmod(0o666)
    (place.path / "shop.d" / "b.yaml").unlink()
    os.mkfifo(place.path / "shop.d" / "b.yaml", 0o600)
    place.write("open.d/x.yaml", "").parent.chmod(0o777)
    at = "DIR/shop.yaml:1: include 'shop.d/*.yaml': DIR/shop.d"
    assert place.problems("[shop.d/*.yaml, open.d/x.yaml]") == [
        f"{at}/a.yaml: cannot trust it: writable by others; chmod go-w DIR/shop.d/a.yaml",
        f"{at}/b.yaml: cannot read: not a regular file; name one",
        "DIR/shop.yaml:1: include 'open.d/x.yaml': DIR/open.d/x.yaml: cannot trust it: DIR/open.d is writable by"
        " others; chmod go-w DIR/open.d",
    ]


def test_what_is_no_utf_8_is_told_with_its_file_and_line(place: Place) -> None:
    (place.path / "shop.d" / "a.yaml").write_bytes(b"watchers:\n  \xff: {}")
    (told,) = place.problems("[shop.d/a.yaml]")
    assert told.endswith("DIR/shop.d/a.yaml:2: the byte 0xff is no UTF-8; save the file as UTF-8")


def test_mistakes_carry_the_included_file_s_name_and_line(place: Place) -> None:
    place.write("shop.d/c.yaml", "watchers:\n  c: {cmd: x, nise: 1}")
    place.write("shop.d/d.yaml", "watchers: {a: {cmd: x}}")
    assert place.problems("[shop.d/*.yaml]") == [
        "DIR/shop.d/c.yaml:2: unknown key 'nise' in watcher 'c'; did you mean 'nice'?",
        "DIR/shop.d/d.yaml:1: duplicate watcher 'a'; DIR/shop.d/a.yaml:1 has it already",
    ]


def test_a_file_s_name_can_not_forge_a_message(place: Place) -> None:
    place.write("shop.d/x\n\x1b[31m.yaml", "watchers: [")
    for line in place.problems("[shop.d/*.yaml]"):
        assert line.isprintable()


def test_too_many_files_are_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "MAX_INCLUDES", 2)
    assert place.problems("[shop.d/*.yaml]") == [
        "DIR/shop.yaml:1: include 'shop.d/*.yaml': over 2 files; include fewer"
    ]


def test_files_have_a_bound_together(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "MAX_SIZE", 60)  # each has 24
    (told,) = place.problems("[shop.d/*.yaml]")
    assert told.endswith("DIR/shop.d/c.yaml: cannot read: over 60 bytes together; split the daemon")


def test_a_pattern_below_what_is_no_directory_is_told(place: Place) -> None:
    (told,) = place.problems("[shop.d/a.yaml/*.yaml]")
    assert told == "DIR/shop.yaml:1: include 'shop.d/a.yaml/*.yaml': cannot read: Not a directory"


@pytest.mark.host_may_lack("root can read every directory")
@pytest.mark.skipif(os.geteuid() == 0, reason="root can read every directory")
def test_a_directory_that_can_not_be_read_is_told(place: Place) -> None:
    (place.path / "shop.d").chmod(0o300)
    assert place.problems("[shop.d/*.yaml]") == [
        "DIR/shop.yaml:1: include 'shop.d/*.yaml': cannot read: Permission denied"
    ]
    (place.path / "shop.d").chmod(0o700)


def test_an_included_variable_is_the_daemon_s(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIRCUS_CG_TEST_WORD", "found")
    place.write("shop.d/a.yaml", "watchers: {a: {cmd: x $(circus.env.CIRCUS_CG_TEST_WORD)}}")
    main = place.write("shop.yaml", "include: [shop.d/a.yaml]")
    assert loader.load(main).watchers[0].cmd == ("x", "found")
