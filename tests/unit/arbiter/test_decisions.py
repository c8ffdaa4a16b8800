"""A decision is an event like the others, with its verdict and all that it was made from."""

from circus_cg.arbiter.journal import Journal
from circus_cg.core.record import document


def test_a_decision_is_kept_with_its_verdict_reason_inputs_and_cause() -> None:
    journal = Journal()
    own = journal.decide("web", None, "grow", "2 ready workers are 99 % busy", {"saturation": 0.99}, cause=7)
    ((_, record),) = journal.ring.read(journal.ring.oldest, 10)
    told = document(record, 0.0)
    assert told["kind"] == "decision" and told["watcher"] == "web" and told["wid"] is None
    assert (told["id"], told["cause"], told["verdict"]) == (own, 7, "grow")
    assert told["detail"] == "2 ready workers are 99 % busy" and told["inputs"] == {"saturation": 0.99}


def test_what_no_policy_decided_has_no_verdict() -> None:
    journal = Journal()
    journal.tell("web", "start")
    ((_, record),) = journal.ring.read(journal.ring.oldest, 10)
    assert "verdict" not in document(record, 0.0)
