"""The smallest item of a heap, whatever was moved or withdrawn."""

from hypothesis import given
from hypothesis import strategies as st

from scheduler.withdrawable_heap import WithdrawableHeap


def test_an_empty_heap_has_no_smallest():
    assert WithdrawableHeap().smallest() is None


def test_of_equal_keys_the_first_that_came_is_the_smallest():
    heap = WithdrawableHeap()
    heap.push("late", 2)
    heap.push("first", 1)
    heap.push("second", 1)
    assert heap.smallest() == (1, "first")


def test_a_new_key_replaces_the_old_one():
    heap = WithdrawableHeap()
    heap.push("a", 1)
    heap.push("b", 2)
    heap.push("a", 3)
    assert heap.smallest() == (2, "b") and len(heap) == 2


def test_items_that_move_all_the_time_leave_no_litter():
    heap = WithdrawableHeap()
    for key in range(100_000):
        heap.push(key % 100, key)
    assert len(heap) == 100
    assert len(heap._heap) < 1_000


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 5) | st.none())))
def test_it_agrees_with_a_dictionary_that_is_searched(events):
    heap, model = WithdrawableHeap(), {}
    for order, (item, key) in enumerate(events):
        if key is None:
            heap.withdraw(item)
            model.pop(item, None)
        else:
            heap.push(item, key)
            model[item] = (key, order)
        smallest = min(model, key=model.__getitem__, default=None)
        assert heap.smallest() == (None if smallest is None else (model[smallest][0], smallest))
        assert len(heap) == len(model) and all(item in heap for item in model)
