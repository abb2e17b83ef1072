"""The group of a training's processes: causes, shares."""

from types import SimpleNamespace

import pytest
import torch.distributed as dist
from guidance_study.execution import distributed
from guidance_study.execution.distributed import Group
from guidance_study.support.errors import StudyError


def test_the_cause_is_named_rather_than_what_it_led_to():
    told = dist.HashStore()

    def failed(*codes: int) -> str | None:
        return distributed._Place(0, 4, told, [SimpleNamespace(exitcode=code) for code in codes]).failure()

    def report(rank: int, error: Exception) -> None:
        distributed._Place(rank, 4, told).report(error)

    assert failed(None, 0, None) is None
    assert failed(1, 0, None) == "process 1 of the 4 of this training ended with status 1"
    report(2, KeyError("x"))
    report(1, RuntimeError("connection closed\nby peer"))
    assert failed(1, 1, None) == "process 2 of the 4 of this training failed: KeyError: 'x'"  # the first in time
    assert failed(1, None, None) == failed(1, 1, None)  # however long its end takes
    assert failed(1, 1, -9) == "process 3 of the 4 of this training was ended by signal 9"
    report(3, StudyError("no x"))
    assert failed(1, -6, 1) == "no x"


@pytest.mark.parametrize(("batch", "size"), [(9, 2), (8, 3), (3, 3), (128, 7)])
def test_shares_are_even_and_cover_the_batch(batch, size):
    shares = [range(batch)[Group(rank, size).share(batch)] for rank in range(size)]
    assert [row for share in shares for row in share] == list(range(batch))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
