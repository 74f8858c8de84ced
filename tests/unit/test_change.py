"""What a change says of itself."""

from gatewright.base.change import Detail, details, flat, sides, told


def test_only_what_differs_is_told_in_the_order_of_what_is_to_be() -> None:
    before, after = {"a": 1, "b": [2], "gone": 3}, {"b": [2, 4], "a": 1, "new": 5}
    assert details(before, after) == (Detail("b", [2], [2, 4]), Detail("new", None, 5), Detail("gone", 3, None))
    assert sides(before, after) == {"before": {"b": [2], "new": None, "gone": 3}, "after": {"b": [2, 4], "new": 5, "gone": None}}


def test_of_something_new_what_is_usual_is_not_told() -> None:
    assert told({"a": 1, "b": 2}, {"a": 1}) == (Detail("b", None, 2),)
    assert told({"a": None}) == (Detail("a", None, None),)


def test_tables_are_opened() -> None:
    assert flat({"a": {"b": {"c": 1}, "d": []}, "e": None}) == {"a.b.c": 1, "a.d": [], "e": None}
