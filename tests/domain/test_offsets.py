from hypothesis import given
from hypothesis import strategies as st

from ticketops.domain.offsets import OffsetLedger

offsets = st.lists(st.integers(0, 200), unique=True, min_size=1, max_size=60).map(sorted)


@given(offsets, st.data())
def test_nothing_unfinished_is_ever_below_what_may_be_committed(read: list[int], data: st.DataObject) -> None:
    ledger, finished, done = OffsetLedger(), set[int](), -1
    waiting = list(read)
    while waiting or finished != set(read):
        if waiting and data.draw(st.booleans()):
            ledger.read(waiting.pop(0))
        taken = [offset for offset in read if offset not in waiting]
        if open_ := sorted(set(taken) - finished):
            offset = data.draw(st.sampled_from(open_))
            ledger.finish(offset)
            finished.add(offset)
        elif waiting:
            ledger.read(waiting.pop(0))
        position = ledger.position
        if position is None:
            continue
        unfinished = [offset for offset in read if offset not in waiting and offset not in finished]
        assert all(offset >= position for offset in unfinished)
        assert position >= done, "it went back"
        done = position
        assert ledger.unfinished == len(unfinished)
        assert ledger.span >= ledger.unfinished
    assert ledger.position == read[-1] + 1


@given(offsets)
def test_it_is_as_far_as_the_first_that_is_missing(read: list[int]) -> None:
    ledger = OffsetLedger()
    for offset in read:
        ledger.read(offset)
    for offset in reversed(read[1:]):
        ledger.finish(offset)
        assert ledger.position == read[0]
    ledger.finish(read[0])
    ledger.finish(read[0])
    assert ledger.position == read[-1] + 1
    assert (ledger.span, ledger.unfinished) == (0, 0)


def test_before_anything_was_read_there_is_nothing_to_commit() -> None:
    assert OffsetLedger().position is None


@given(offsets)
def test_offsets_only_grow(read: list[int]) -> None:
    ledger = OffsetLedger()
    for offset in read:
        ledger.read(offset)
    assert not ledger.takes(read[-1])
    assert ledger.takes(read[-1] + 1)
