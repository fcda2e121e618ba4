import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ticketops.domain.breaker import Breaker, BreakerPolicy, Circuit
from ticketops.errors import CircuitOpen, ServiceFailed, ServiceRefused
from ticketops.services.circuits import SharedBreaker


class Machine(RuleBasedStateMachine):
    """A breaker beside a model of its own: consecutive failures, the time of opening, trials."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.breaker = Breaker(BreakerPolicy(failures=3, rest=10.0, trials=2))
        self.out: list[int] = []
        self.failures = 0
        """In a row since the circuit was last closed."""

    @rule(seconds=st.floats(0.0, 12.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def ask(self) -> None:
        circuit, admitted = self.breaker.circuit(self.now), self.breaker.admit(self.now)
        if circuit is Circuit.OPEN:
            assert admitted is None
        if circuit is Circuit.CLOSED:
            assert admitted is not None
        if admitted is not None:
            self.breaker = admitted
            self.out.append(admitted.round)

    @precondition(lambda self: self.out)
    @rule(data=st.data(), good=st.booleans())
    def end(self, data: st.DataObject, good: bool) -> None:
        admitted = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
        before = self.breaker
        self.breaker = before.succeeded(admitted) if good else before.erred(admitted, self.now)
        if admitted != before.round:
            assert self.breaker == before, "a call of an earlier round changed something"
            return
        if before.opened_at is None:
            self.failures = 0 if good else self.failures + 1
            assert (self.breaker.opened_at is not None) == (self.failures >= 3)
        elif not good:
            assert self.breaker.circuit(self.now) is Circuit.OPEN
        if self.breaker.opened_at is None and before.opened_at is not None:
            assert good
            assert before.passed + 1 == 2
            self.failures = 0

    @precondition(lambda self: self.out)
    @rule()
    def abandon(self) -> None:
        self.breaker = self.breaker.abandoned(self.out.pop())

    @invariant()
    def it_lets_no_more_trials_through_than_it_should(self) -> None:
        assert 0 <= self.breaker.passed <= self.breaker.begun <= 2
        assert self.breaker.failed < 3


TestBreaker = Machine.TestCase


def test_it_opens_after_five_rests_for_a_minute_and_closes_after_three() -> None:
    breaker = Breaker()
    for _ in range(4):
        breaker = breaker.erred(0, 100.0)
    assert breaker.circuit(100.0) is Circuit.CLOSED
    breaker = breaker.erred(0, 100.0)
    assert breaker.circuit(159.9) is Circuit.OPEN
    assert breaker.admit(159.9) is None
    assert breaker.retry_in(130.0) == 30.0
    trials = 0
    while (admitted := breaker.admit(160.0)) is not None:
        breaker, trials = admitted, trials + 1
    assert trials == 3
    for _ in range(3):
        breaker = breaker.succeeded(1)
    assert breaker.circuit(160.0) is Circuit.CLOSED


def test_a_success_in_between_starts_the_count_again() -> None:
    breaker = Breaker()
    for _ in range(20):
        for _ in range(4):
            breaker = breaker.erred(0, 1.0)
        breaker = breaker.succeeded(0)
    assert breaker.circuit(1.0) is Circuit.CLOSED


@given(st.integers(1, 8))
def test_the_shared_one_calls_no_more_once_it_is_open(failures: int) -> None:
    now, calls = [0.0], []
    shared = SharedBreaker("it", BreakerPolicy(failures=failures, rest=5.0, trials=1), lambda: now[0])

    def fail() -> None:
        calls.append(1)
        raise ServiceFailed("no")

    for _ in range(failures):
        with pytest.raises(ServiceFailed):
            shared.call(fail)
    with pytest.raises(CircuitOpen) as caught:
        shared.call(fail)
    assert (len(calls), caught.value.retry_in, shared.retry_in) == (failures, 5.0, 5.0)
    now[0] = 5.0
    assert shared.call(lambda: "answer") == "answer"
    assert shared.circuit is Circuit.CLOSED


def test_a_refusal_is_an_answer() -> None:
    shared = SharedBreaker("it", BreakerPolicy(failures=2))

    def refuse() -> None:
        raise ServiceRefused("no")

    for _ in range(5):
        with pytest.raises(ServiceRefused):
            shared.call(refuse)
    assert shared.circuit is Circuit.CLOSED


def test_a_trial_that_is_interrupted_gives_its_place_back() -> None:
    now = [0.0]
    shared = SharedBreaker("it", BreakerPolicy(failures=1, rest=1.0, trials=1), lambda: now[0])
    with pytest.raises(ServiceFailed):
        shared.call(lambda: (_ for _ in ()).throw(ServiceFailed("no")))
    now[0] = 2.0

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shared.call(interrupt)
    assert shared.call(lambda: 1) == 1


def test_threads_share_it() -> None:
    shared = SharedBreaker("it", BreakerPolicy(failures=1000))
    ready = threading.Barrier(8)

    def work() -> None:
        ready.wait(10.0)
        for _ in range(100):
            with pytest.raises(ServiceFailed):
                shared.call(lambda: (_ for _ in ()).throw(ServiceFailed("no")))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)
    assert shared._breaker.failed == 800
