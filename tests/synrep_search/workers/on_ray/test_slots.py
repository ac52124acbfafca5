"""Which trials run in which slot, with a real search."""

from __future__ import annotations

from synrep_search.workers.on_ray.slots import SlotTable


def numbers(orders) -> list[int]:
    """The trials that orders begin."""
    return [job.number for job in orders.begin]


def test_few_trials_are_shared_evenly(make_search, make_spec) -> None:
    """No slot takes more than its share, so that none stays empty."""
    spec = make_spec(search={"trials": 5}, resources={"fuse": 4})
    slots = SlotTable(make_search(spec), count=2, capacity=4)
    assert numbers(slots.open("a")) == [0, 1, 2]
    assert numbers(slots.open("b")) == [3, 4]
    assert slots.open("c") is None


def test_half_of_the_trials_are_left_to_a_sampler_that_has_learnt(make_search, make_spec) -> None:
    """With `auto`, slots hold back; when there is nothing left to hold back for, they do not."""
    auto = {"fuse": "auto"}
    search = make_search(make_spec(search={"trials": 8}, resources=auto))
    slots = SlotTable(search, count=2, capacity=9)
    assert numbers(slots.open("a")) == [0, 1]
    assert numbers(slots.open("b")) == [2, 3]
    few = make_search(make_spec(search={"trials": 2}, resources=auto))
    slots = SlotTable(few, count=2, capacity=9)
    assert numbers(slots.open("a")) == [0]
    assert numbers(slots.open("b")) == [1]


def test_many_trials_fill_the_slots(make_search, make_spec) -> None:
    """A slot takes as many as it can hold, and one more for each that ends."""
    search = make_search(make_spec(search={"trials": 20}))
    slots = SlotTable(search, count=2, capacity=3)
    first = slots.open("a")
    assert numbers(first) == [0, 1, 2]
    assert numbers(slots.open("b")) == [3, 4, 5]
    assert search.open_trials == 20


def test_a_slot_gets_its_next_orders(make_search, make_spec, make_report) -> None:
    """Trials that go on are named, the places of those that ended are filled, or the slot ends."""
    search = make_search(make_spec(search={"trials": 3}))
    slots = SlotTable(search, count=1, capacity=2)
    one, two = slots.open("a").begin
    orders = slots.report("a", [make_report(one, 1, 1.0), make_report(two, 1, ended="diverged")])
    assert (orders.go_on, numbers(orders)) == ((0,), [2])
    (three,) = orders.begin
    reports = [make_report(one, 9, 1.0, ended="completed"), make_report(three, 1, 1.0)]
    orders = slots.report("a", reports)
    assert (orders.go_on, orders.begin) == ((2,), ())
    assert slots.report("a", [make_report(three, 9, 1.0, ended="completed")]) is None
    assert search.finished


def test_a_lost_slot_gives_all_its_trials_back(make_search, make_spec) -> None:
    """Its trials wait; whoever shared a process is not blamed, whoever had one alone is."""
    search = make_search(make_spec(search={"trials": 3}))
    slots = SlotTable(search, count=1, capacity=2)
    assert numbers(slots.open("a")) == [0, 1]
    slots.lost("a", "its process died", preempted=False)
    slots.lost("a", "its process died", preempted=False)
    trials = search.ledger.index.trials()
    assert [trial.state for trial in trials] == ["waiting", "waiting"]
    assert [(t.record.failures, t.record.shared_failures) for t in trials] == [(0, 1), (0, 1)]
    alone = SlotTable(search, count=9, capacity=2)
    assert numbers(alone.open("b")) == [0]
    alone.lost("b", "its process died", preempted=False)
    assert search.ledger.trial(0).record.failures == 1
    assert numbers(alone.open("c")) == [0]
    alone.lost("c", "its node was lost", preempted=True)
    assert search.ledger.trial(0).record.failures == 1


def test_suspects_run_alone(make_search, make_spec, make_report) -> None:
    """A trial under suspicion gets a slot to itself, and the others go on around it."""
    search = make_search(make_spec(search={"trials": 6}, failures={"retries": 9}))
    slots = SlotTable(search, count=2, capacity=2)
    for _ in range(2):
        assert numbers(slots.open("a")) == [0, 1]
        slots.lost("a", "its process died", preempted=False)
    first = slots.open("a")
    assert [(job.number, job.alone) for job in first.begin] == [(0, True)]
    second = slots.open("b")
    assert [(job.number, job.alone) for job in second.begin] == [(1, True)]
    orders = slots.report("a", [make_report(first.begin[0], 1, 1.0)])
    assert (orders.go_on, orders.begin) == ((0,), ())
    orders = slots.report("a", [make_report(first.begin[0], 9, 1.0, ended="completed")])
    assert numbers(orders) == [2, 3]
    slots.lost("b", "its process died", preempted=False)
    reports = [make_report(orders.begin[0], 9, 1.0, ended="completed")]
    orders = slots.report("a", [*reports, make_report(orders.begin[1], 1, 1.0)])
    assert (orders.go_on, orders.begin) == ((3,), ())  # trial 1 waits for a slot of its own


def test_a_stopped_search_empties_its_slots(make_search, make_spec, make_report) -> None:
    """After a stop each slot ends with its next report, and none is opened."""
    search = make_search(make_spec())
    slots = SlotTable(search, count=2, capacity=2)
    jobs = slots.open("a").begin
    search.stop("SIGINT")
    assert slots.open("b") is None
    assert slots.report("a", [make_report(job, 1, 1.0) for job in jobs]) is None
    assert search.finished


def test_a_slot_that_pauses_gets_nothing_new(make_search, make_spec, make_report) -> None:
    """Its machine is about to go, or the search ends: what it had waits for another slot."""
    search = make_search(make_spec(search={"trials": 4}))
    slots = SlotTable(search, count=1, capacity=2)
    one, two = slots.open("a").begin
    paused = [make_report(job, 0, ended="paused", cause="paused") for job in (one, two)]
    assert slots.report("a", paused) is None
    assert numbers(slots.open("b")) == [0, 1]
