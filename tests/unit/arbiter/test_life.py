"""A worker's number in its command and environment, for those who ask for it."""

from __future__ import annotations

from circus_cg.arbiter.life import names_wid, with_wid
from circus_cg.spec import WatcherSpec


def test_only_a_watcher_that_names_the_number_pays_for_it() -> None:
    assert not names_wid(WatcherSpec(name="w", cmd=("a", "$(circus.env.x)", "$wid"), env={"A": "wid"}))
    assert names_wid(WatcherSpec(name="w", cmd=("a", "-n$(circus.wid)")))
    assert names_wid(WatcherSpec(name="w", cmd=("a",), env={"N": "((CIRCUS.WID))"}))


def test_the_number_is_put_in_and_all_else_stays() -> None:
    spec = WatcherSpec(name="w", cmd=("a", "$(circus.wid)-((Circus.Wid))", "$(circus.x)"), env={"N": "$(circus.wid)"})
    asked = {"argv": [], "env": {"PATH": "/bin", "N": "?", "INHERITED": "$(circus.wid)"}, "nice": 3}
    assert with_wid(asked, spec, 7) == {
        "argv": ["a", "7-7", "$(circus.x)"],
        "env": {"PATH": "/bin", "N": "7", "INHERITED": "$(circus.wid)"},
        "nice": 3,
    }
