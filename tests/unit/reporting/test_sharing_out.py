"""Partitions are shared out among processes so that all end at about the same time."""

from services.reporting.adapters.verifiers import shared_out
from services.reporting.application.checking import Stretch


def stretches(*sizes: int) -> list[Stretch]:
    return [Stretch("complaints.cases", part, 0, size) for part, size in enumerate(sizes)]


def test_every_partition_has_one_process() -> None:
    shares = shared_out(stretches(5, 3, 8, 0), 3)
    assert sorted(one.part for share in shares for one in share) == [0, 1, 2, 3]


def test_nobody_has_much_more_to_do_than_another() -> None:
    sizes = [sum(one.end for one in share) for share in shared_out(stretches(8, 7, 6, 5, 4), 2)]
    assert max(sizes) - min(sizes) <= 4


def test_no_more_processes_are_started_than_there_are_partitions() -> None:
    assert len(shared_out(stretches(1, 1), 16)) == 2
    assert shared_out([], 4) == []
