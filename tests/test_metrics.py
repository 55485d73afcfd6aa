"""Correct answers and confusion counts."""

import numpy as np
import pytest
import torch

from capsnet.metrics import confusion, correct


def judged(scores: list[list[float]], labels: list[list[int]]) -> list[bool]:
    return correct(torch.tensor(scores), torch.tensor(labels)).tolist()


def test_one_digit_is_right_when_its_capsule_is_the_longest() -> None:
    scores = [[0.1, 0.9, 0.3], [0.1, 0.9, 0.3], [0.8, 0.1, 0.7]]
    assert judged(scores, [[1], [2], [0]]) == [True, False, True]


@pytest.mark.parametrize(
    ("labels", "right"),
    [
        ([0, 2], True),
        ([2, 0], True),  # the order of the two labels says nothing
        ([0, 1], False),  # one right, one wrong
        ([1, 2], False),  # the other one right
        ([1, 3], False),  # both wrong
    ],
)
def test_two_digits_are_right_only_together_and_in_any_order(
    labels: list[int], right: bool
) -> None:
    # The two longest are 0 and 2, in either order of length.
    assert judged([[0.9, 0.5, 0.8, 0.1], [0.8, 0.5, 0.9, 0.1]], [labels, labels]) == [right, right]


def test_examples_are_judged_one_by_one() -> None:
    scores = [[0.9, 0.8, 0.1], [0.9, 0.1, 0.8], [0.1, 0.8, 0.9]]
    assert judged(scores, [[1, 0], [1, 0], [1, 2]]) == [True, False, True]


def test_three_digits_need_the_three_longest() -> None:
    scores = [[0.9, 0.8, 0.7, 0.1]]
    assert judged(scores, [[2, 0, 1]]) == [True]
    assert judged(scores, [[3, 0, 1]]) == [False]


@pytest.mark.parametrize("digits", [1, 2])
def test_confusions_are_those_of_a_slow_count(digits: int) -> None:
    generator = torch.Generator().manual_seed(digits)
    scores = torch.rand(500, 10, generator=generator)
    labels = torch.rand(500, 10, generator=generator).topk(digits).indices
    expected = np.zeros((10, 10))
    for row, true in zip(scores.numpy(), labels.tolist(), strict=True):
        answered = set(np.argsort(row)[-digits:].tolist())
        for digit in true:
            if digit in answered:
                expected[digit, digit] += 1
            else:
                instead = answered - set(true)
                for other in instead:
                    expected[digit, other] += 1 / len(instead)
    assert confusion(scores, labels).tolist() == expected.tolist()
    assert expected.sum(1).tolist() == labels.flatten().bincount(minlength=10).tolist()


def test_confusions_are_counted_exactly_where_networks_compute_in_bf16() -> None:
    """257 times a half and more: bf16 has no such numbers."""
    scores = torch.zeros(777, 10)
    scores[:, [4, 5]] = 1.0
    labels = torch.tensor([[2, 3]]).expand(777, 2)
    with torch.autocast("cpu", torch.bfloat16):
        counted = confusion(scores, labels)
    assert counted[2, 4] == counted[2, 5] == counted[3, 4] == counted[3, 5] == 388.5
    assert counted.sum() == 2 * 777
