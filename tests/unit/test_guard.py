"""The guard against leaks: copies of an image are found in any size and dress, other images are not."""

import io
from collections.abc import Callable, Sequence

import imagehash
import numpy as np
import pytest
from PIL import Image

from mimeo.datasets import digits, photographs
from mimeo.guard import NEAR_BITS, NEAR_MEANS, hashes, near_duplicates, thumbnails
from mimeo.items import take

COUNT = 120
SHAPES = [(8, 1), (8, 3), (32, 1), (32, 3), (64, 1), (64, 3)]
Patches = Callable[[int, int], np.ndarray]


@pytest.fixture(scope="module")
def patches() -> Patches:
    """Natural patches of a size, decoded once; two of the first 160 that nearly coincide are left out."""
    columns = photographs.index(None, {"pool": 300}).columns
    largest = columns["side"] > 0.9 * columns["side"].max()
    rows = np.flatnonzero(~largest & (columns["photograph"] != "camera"))[: COUNT + 40]
    there: dict[tuple[int, int], np.ndarray] = {}

    def at(size: int, channels: int) -> np.ndarray:
        if (size, channels) not in there:
            there[size, channels] = photographs.read(None, take(columns, rows), size, channels)
        return there[size, channels]

    return at


def as_pictures(images: np.ndarray) -> list[Image.Image]:
    return [Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image) for image in images]


def as_array(pictures: Sequence[Image.Image]) -> np.ndarray:
    stack = np.stack([np.asarray(picture) for picture in pictures])
    return stack if stack.ndim == 4 else stack[..., None]


def recompressed(images: np.ndarray, quality: int) -> np.ndarray:
    """The images as JPEG has them."""
    out = []
    for picture in as_pictures(images):
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality)
        out.append(Image.open(file))
    return as_array(out)


def resized(images: np.ndarray, size: int, way: Image.Resampling) -> np.ndarray:
    return as_array([picture.resize((size, size), way) for picture in as_pictures(images)])


def found(queries: np.ndarray, known: np.ndarray) -> float:
    """The share of images recognised as the one they were made from."""
    return float((near_duplicates(queries, known) == np.arange(len(queries))).mean())


@pytest.mark.parametrize(("size", "channels"), SHAPES)
def test_exact_copies_are_found(patches: Patches, size: int, channels: int) -> None:
    """Each as itself, wherever it stands."""
    images = patches(size, channels)
    assert found(images, images) == 1
    order = np.random.default_rng(0).permutation(len(images))
    assert np.array_equal(near_duplicates(images[order], images), order)


@pytest.mark.parametrize(("size", "channels"), SHAPES)
def test_slightly_brighter_copies_are_found(patches: Patches, size: int, channels: int) -> None:
    images = patches(size, channels)
    brighter = np.minimum(images.astype(int) + 2, 255).astype(np.uint8)
    assert found(brighter, images) == 1


@pytest.mark.parametrize(
    ("size", "channels", "quality", "least"),
    [(32, 1, 90, 0.95), (32, 3, 95, 0.95), (64, 1, 75, 0.95), (64, 3, 90, 0.95)],
)
def test_recompressed_copies_are_found(patches: Patches, size: int, channels: int, quality: int, least: float) -> None:
    images = patches(size, channels)
    assert found(recompressed(images, quality), images) >= least


def test_copies_of_another_size_are_found(patches: Patches) -> None:
    """Enlarged by whole factors nothing changes; halved by averaging nothing much."""
    images = patches(32, 3)
    assert found(resized(images, 64, Image.Resampling.NEAREST), images) == 1
    large = patches(64, 3)
    assert found(resized(large, 32, Image.Resampling.BOX), large) >= 0.95


@pytest.mark.parametrize("channels", [1, 3])
def test_smoothly_enlarged_copies_are_found(patches: Patches, channels: int) -> None:
    images = patches(32, channels)
    assert found(resized(images, 64, Image.Resampling.BILINEAR), images) >= 0.95


@pytest.mark.parametrize(("size", "channels"), SHAPES)
def test_other_patches_are_not_found(patches: Patches, size: int, channels: int) -> None:
    """Patches of the same photographs at other places are other images."""
    images = patches(size, channels)
    assert (near_duplicates(images[:COUNT], images[COUNT:]) == -1).all()


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (32, 3)])
def test_other_digits_are_not_found(size: int, channels: int) -> None:
    """Plain handwritten digits look alike to a hash; none of the training images is a test image."""
    columns = digits.index(None, {}).columns
    train, test = (
        digits.read(None, take(columns, np.flatnonzero(columns["split"] == split)), size, channels)
        for split in ("train", "test")
    )
    assert (near_duplicates(train, test) == -1).all()
    bits = np.bitwise_count(hashes(thumbnails(train))[:, None] ^ hashes(thumbnails(test))[None])
    assert (bits <= NEAR_BITS).any()  # the hash alone would have called some the same


def test_one_leak_among_many_is_found_in_any_chunk(patches: Patches) -> None:
    images = patches(8, 1)
    queries = images[:COUNT].copy()
    queries[97] = images[COUNT + 5]
    for chunk in (1, 50, 98, 5000):
        match = near_duplicates(queries, images[COUNT:], chunk * len(images[COUNT:]))
        assert match[97] == 5
        assert (np.delete(match, 97) == -1).all()


def test_sizes_may_differ(patches: Patches) -> None:
    """A query set at one size is held against a test set at another."""
    small, large = patches(32, 3), patches(64, 3)
    match = near_duplicates(small, large)
    assert set(np.unique(match[match >= 0] - np.flatnonzero(match >= 0))) <= {0}
    assert (match >= 0).mean() > 0.5


def test_plain_images_are_duplicates_of_their_like() -> None:
    plain = np.full((1, 32, 32, 3), 100, np.uint8)
    assert near_duplicates(plain, plain + 2).tolist() == [0]
    assert near_duplicates(plain, plain + 60).tolist() == [-1]


def test_faint_patterns_on_the_same_grey_are_told_apart() -> None:
    """Thumbnails that hardly differ are not enough: the hash must agree as well."""
    draw = np.random.default_rng(0)
    faint = (100 + 4 * draw.integers(2, size=(20, 8, 8, 1))).astype(np.uint8)
    there = thumbnails(faint)
    assert np.abs(there[:10] - there[10:]).mean() < NEAR_MEANS
    assert (near_duplicates(faint[:10], faint[10:]) == -1).all()
    assert np.array_equal(near_duplicates(faint, faint), np.arange(20))


def test_no_query_is_no_problem(patches: Patches) -> None:
    assert near_duplicates(patches(8, 1)[:0], patches(8, 1)).shape == (0,)


@pytest.mark.parametrize(("size", "channels"), SHAPES)
def test_thumbnails_are_grey_and_of_one_size(patches: Patches, size: int, channels: int) -> None:
    images = patches(size, channels)[:10]
    thumbs = thumbnails(images)
    assert thumbs.shape == (10, 32, 32)
    assert thumbs.min() >= 0 and thumbs.max() <= 1
    grey = images.mean(3) / 255
    large = np.kron(grey, np.ones((1, 64 // size, 64 // size)))
    means = large.reshape(10, 32, 2, 32, 2).mean((2, 4))
    assert np.abs(thumbs - means).max() < 1e-5


@pytest.mark.parametrize("size", [9, 33, 48, 100])
def test_thumbnails_of_odd_sizes(size: int) -> None:
    """A ramp stays a ramp, and its mean stays where it was."""
    ramp = np.linspace(0, 255, size).astype(np.uint8)[None, None, :, None].repeat(size, 1)
    [thumb] = thumbnails(ramp)
    assert (np.diff(thumb, axis=1) >= -1e-6).all()
    assert np.abs(np.diff(thumb, axis=0)).max() < 1e-5
    assert thumb.mean() == pytest.approx(ramp.mean() / 255, abs=0.05)


def test_hash_agrees_with_a_library(patches: Patches) -> None:
    """Near duplicates are near, other images far, by ours as by imagehash's perceptual hash."""
    images = patches(64, 3)[:60]
    copies = recompressed(images, 90)

    def ours(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.bitwise_count(hashes(thumbnails(one)) ^ hashes(thumbnails(other)))

    def theirs(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        pairs = zip(as_pictures(one), as_pictures(other), strict=True)
        return np.array([imagehash.phash(a) - imagehash.phash(b) for a, b in pairs])

    others = np.roll(images, 7, axis=0)
    for distance in (ours, theirs):
        assert np.percentile(distance(images, copies), 95) <= NEAR_BITS
        assert np.percentile(distance(images, others), 5) >= 16
