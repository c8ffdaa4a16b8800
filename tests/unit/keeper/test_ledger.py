"""The keeper's ledger: the compare-and-swap, and exits that stay until somebody understood them."""

from circus_cg.keeper.ledger import Ledger
from circus_cg.keeper.messages import Key, hello

WEB1 = Key("web", 1, 1)


def ask(ledger: Ledger, key: Key, note: str = "n") -> dict[str, object] | None:
    return ledger.spawn({"key": key, "note": note})


def living(ledger: Ledger, key: Key, pid: int) -> None:
    assert ask(ledger, key) is None
    ledger.started(key, pid)
    ledger.running(key)


def test_a_life_is_spawned_once_however_often_it_is_asked_for() -> None:
    ledger = Ledger()
    living(ledger, WEB1, 100)
    again = ask(ledger, WEB1)
    assert again is not None and again["why"] == "occupied" and again["pid"] == 100


def test_a_generation_can_not_be_skipped_or_repeated() -> None:
    ledger = Ledger()
    refusal = ask(ledger, Key("web", 1, 2))
    assert refusal is not None and refusal["why"] == "generation" and refusal["generation"] == 0
    living(ledger, WEB1, 100)
    ledger.exited(100, 0, None, 1.0)
    refusal = ask(ledger, WEB1)
    assert refusal is not None and refusal["generation"] == 1


def test_the_next_spawn_acknowledges_the_last_exit() -> None:
    ledger = Ledger()
    living(ledger, WEB1, 100)
    ledger.exited(100, 3, None, 1.0)
    assert ask(ledger, Key("web", 1, 2)) is None
    assert ledger.inventory()[0]["exit"] is None


def test_an_exit_stays_in_the_inventory_until_acknowledged() -> None:
    ledger = Ledger()
    living(ledger, WEB1, 100)
    (news,) = ledger.exited(100, None, 9, 1.0)
    assert news["signal"] == 9 and news["key"] == WEB1
    assert ledger.inventory()[0]["exit"] == news
    ledger.ack(WEB1, "understood")
    assert ledger.inventory()[0] == {
        "slot": ("web", 1),
        "generation": 1,
        "state": "empty",
        "pid": None,
        "note": "understood",
        "exit": None,
    }


def test_an_acknowledgement_of_an_older_life_changes_nothing() -> None:
    ledger = Ledger()
    living(ledger, WEB1, 100)
    ledger.exited(100, 0, None, 1.0)
    assert ask(ledger, Key("web", 1, 2), "second") is None
    ledger.ack(WEB1, "late")
    assert ledger.inventory()[0]["note"] == "second"
    assert ledger.inventory()[0]["state"] == "launching"


def test_an_exit_that_overtakes_the_news_of_the_exec_is_told_after_it() -> None:
    ledger = Ledger()
    ask(ledger, WEB1)
    ledger.started(WEB1, 100)
    assert ledger.exited(100, 0, None, 1.0) == []
    assert [m["op"] for m in ledger.running(WEB1)] == ["spawned", "exited"]


def test_a_failed_exec_is_an_exit_with_its_error() -> None:
    ledger = Ledger()
    error = {"stage": "exec", "errno": 2, "text": "No such file or directory"}
    ask(ledger, WEB1)
    ledger.started(WEB1, 100)
    assert ledger.failed(WEB1, error, 1.0) == []
    (news,) = ledger.exited(100, 127, None, 2.0)
    assert news["op"] == "exited" and news["error"] == error


def test_a_failure_without_a_process_ends_the_life_at_once() -> None:
    ledger = Ledger()
    ask(ledger, WEB1)
    (news,) = ledger.failed(WEB1, {"stage": "clone", "errno": 11, "text": "again"}, 1.0)
    assert news["pid"] is None and news["code"] is None and news["signal"] is None
    assert ask(ledger, Key("web", 1, 2)) is None


def test_a_pid_is_signalled_only_as_the_life_it_belongs_to() -> None:
    ledger = Ledger()
    living(ledger, WEB1, 100)
    assert ledger.pid_of(WEB1) == 100
    assert ledger.pid_of(Key("web", 1, 2)) is None
    ledger.exited(100, 0, None, 1.0)
    assert ledger.pid_of(WEB1) is None


def test_only_an_empty_slot_is_forgotten() -> None:
    ledger = Ledger()
    living(ledger, WEB1, 100)
    assert not ledger.forget(WEB1.slot)
    ledger.exited(100, 0, None, 1.0)
    assert not ledger.forget(WEB1.slot)
    ledger.ack(WEB1, None)
    assert ledger.forget(WEB1.slot) and ledger.inventory() == []


def test_a_strange_pid_is_nobodys_exit() -> None:
    assert Ledger().exited(4711, 0, None, 1.0) == []


def test_the_inventory_comes_in_pages_and_the_last_one_says_so() -> None:
    slots = [{"slot": ("w", i)} for i in range(130)]
    pages = hello(slots, instance="i", note="n", stopping=False)
    assert [len(p["slots"]) for p in pages] == [64, 64, 2]
    assert [p["last"] for p in pages] == [False, False, True]
    assert pages[-1]["note"] == "n"
    assert hello([], instance="i", note="", stopping=True)[0]["last"]
