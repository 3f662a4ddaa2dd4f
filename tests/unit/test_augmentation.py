"""Augmentation: every image moved or mirrored as a slow search over all moves finds it."""

import numpy as np
import pytest
import torch

from mimeo.augmentation import augment

COUNT = 300


def drawn(seed: int = 0) -> torch.Generator:
    """A generator of the CPU."""
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def images() -> torch.Tensor:
    """Images in which no two pixels are equal and none is zero, so that a move can be told for certain."""
    return torch.rand(COUNT, 2, 6, 5, generator=drawn(99)) + 0.5


def moved(image: np.ndarray, down: int, right: int) -> np.ndarray:
    """The image moved by whole pixels; zeros move in."""
    _, height, width = image.shape
    out = np.zeros_like(image)
    for row in range(height):
        for column in range(width):
            if 0 <= row + down < height and 0 <= column + right < width:
                out[:, row + down, column + right] = image[:, row, column]
    return out


def moves_of(before: torch.Tensor, after: torch.Tensor, reach: int) -> list[tuple[int, int]]:
    """The one move within reach that makes the one image into the other, for every image."""
    span = range(-reach, reach + 1)
    found = []
    for one, other in zip(before.numpy(), after.numpy(), strict=True):
        fits = [(down, right) for down in span for right in span if np.array_equal(moved(one, down, right), other)]
        assert len(fits) == 1
        found += fits
    return found


@pytest.mark.parametrize("shift", [1, 2])
def test_shift_moves_every_image_by_at_most_so_much(images: torch.Tensor, shift: int) -> None:
    """All channels together, by any amount up to the limit both ways, each image for itself."""
    few = images[:120]
    moves = moves_of(few, augment(few, shift, False, drawn()), shift)
    assert {down for down, _ in moves} == {right for _, right in moves} == set(range(-shift, shift + 1))
    assert len(set(moves)) == (2 * shift + 1) ** 2 or shift > 1


def test_flip_mirrors_about_half(images: torch.Tensor) -> None:
    mirrored = 0
    for one, other in zip(images, augment(images, 0, True, drawn()), strict=True):
        assert torch.equal(other, one) or torch.equal(other, one.flip(2))
        mirrored += torch.equal(other, one.flip(2))
    assert 0.4 * COUNT < mirrored < 0.6 * COUNT


def test_shift_and_flip_together(images: torch.Tensor) -> None:
    few = images[:60]
    for one, other in zip(few, augment(few, 1, True, drawn()), strict=True):
        fits = [
            np.array_equal(moved(start.numpy(), down, right), other.numpy())
            for start in (one, one.flip(2))
            for down in (-1, 0, 1)
            for right in (-1, 0, 1)
        ]
        assert sum(fits) == 1


def test_nothing_to_do_returns_the_same_tensor(images: torch.Tensor) -> None:
    generator = drawn()
    before = generator.get_state()
    assert augment(images, 0, False, generator) is images
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize(("shift", "flip"), [(1, False), (0, True), (2, True)])
def test_draws_come_from_the_generator_alone(images: torch.Tensor, shift: int, flip: bool) -> None:
    torch.manual_seed(1)
    one = augment(images, shift, flip, drawn(5))
    torch.manual_seed(2)
    assert torch.equal(augment(images, shift, flip, drawn(5)), one)
    assert not torch.equal(augment(images, shift, flip, drawn(6)), one)


@pytest.mark.parametrize(("shift", "flip"), [(1, False), (0, True), (2, True)])
def test_input_is_untouched_and_form_stays(images: torch.Tensor, shift: int, flip: bool) -> None:
    before = images.clone()
    for order in (torch.contiguous_format, torch.channels_last):
        there = images.contiguous(memory_format=order)
        after = augment(there, shift, flip, drawn())
        assert after.shape == images.shape
        assert after.dtype == images.dtype
        assert torch.equal(there, before)
        assert torch.equal(after, augment(images, shift, flip, drawn()))


def test_shift_beyond_the_image_leaves_zeros() -> None:
    """A move by the whole side or more empties the image and reads nothing from outside."""
    images = torch.ones(200, 1, 2, 2)
    after = augment(images, 3, False, drawn())
    sums = after.sum((1, 2, 3))
    assert set(sums.tolist()) == {0, 1, 2, 4}
