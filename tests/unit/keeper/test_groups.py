"""What the keeper leaves of its groups at its end. Plain directories do: an empty group is one to rmdir."""

from pathlib import Path

from circus_cg.keeper import groups


def place(root: Path) -> dict[str, str]:
    top = root / "circus-cg"
    tree = top / "name"
    return {"procs": str(root / "cgroup.procs"), "daemon": str(tree / "@daemon"), "tree": str(tree), "top": str(top)}


def test_nothing_empty_is_left_not_even_what_nobody_asked_it_for(tmp_path: Path) -> None:
    """An arbiter makes a group, then asks for the life in it: it may die between the two."""
    tree = tmp_path / "circus-cg/name"
    for group in ("@daemon", "web/1.1", "web/2.7/of-the-workers-own", "idle"):
        (tree / group).mkdir(parents=True)
    groups.leave([place(tmp_path)])
    assert not (tmp_path / "circus-cg").exists()


def test_what_is_in_use_and_what_others_made_stays(tmp_path: Path) -> None:
    used = tmp_path / "circus-cg/name/web/1.1"
    others = tmp_path / "circus-cg/other/web/1.1"
    for group in (used, others):
        group.mkdir(parents=True)
    (used / "in use").touch()  # rmdir refuses, as it does with members
    (tmp_path / "circus-cg/name/web/2.1").mkdir()
    groups.leave([place(tmp_path)])
    assert used.exists() and others.exists()
    assert [path.name for path in used.parent.iterdir()] == ["1.1"]
