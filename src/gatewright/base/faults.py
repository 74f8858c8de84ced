"""Faults of pieces of work that do not depend on each other: each has its turn, and what failed is raised at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def raise_all(faults: Sequence[Exception], sentence: str) -> None:
    """Raise the only fault as it is, several as a group with this sentence, and nothing where there is none."""
    if len(faults) == 1:
        raise faults[0]
    if faults:
        raise ExceptionGroup(sentence, faults)


def each(fault: Exception) -> Iterator[Exception]:
    """Yield the faults of a group, and of the groups in it; one by itself is the only one."""
    if not isinstance(fault, ExceptionGroup):
        yield fault
        return
    for part in fault.exceptions:
        yield from each(part)
