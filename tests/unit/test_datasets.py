"""The data sets that ship in packages: complete, decoded as promised, and honest about broken files."""

import csv
import gzip
import importlib.resources
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from mimeo.datasets import UNKNOWN, Index, digits, fonts, photographs, read_split
from mimeo.items import check_items, load_items, save_items, take

Complaint = Callable[[Callable[[], object]], str]
Columns = dict[str, np.ndarray]


def through_csv(columns: Columns, folder: Path) -> Columns:
    """The columns as a later stage gets them: all text but the label."""
    save_items(str(folder / "items.csv"), columns)
    return load_items(str(folder / "items.csv"))


# --- digits -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def handwritten() -> Index:
    return digits.index(None, {"train": 1078, "test": 719})


def test_digits_are_all_there(handwritten: Index) -> None:
    columns = handwritten.columns
    check_items("digits", columns, handwritten.classes)
    assert columns["name"].tolist() == [f"{number:04d}" for number in range(1797)]
    assert handwritten.classes == tuple("0123456789")
    assert np.array_equal(columns["label"], load_digits().target)


def test_digits_split_is_stratified(handwritten: Index) -> None:
    """60 to 40 overall, and in every class to within one image."""
    split, label = handwritten.columns["split"], handwritten.columns["label"]
    assert (split == "train").sum() == 1078
    assert (split == "test").sum() == 719
    whole, train = np.bincount(label), np.bincount(label[split == "train"], minlength=10)
    assert np.abs(train - 0.6 * whole).max() <= 1


def test_digits_split_file_names_every_image_once(handwritten: Index) -> None:
    with open(digits.SPLIT, newline="") as file:
        rows = list(csv.DictReader(file))
    names = [row["name"] for row in rows]
    assert len(names) == len(set(names))
    assert sorted(names) == handwritten.columns["name"].tolist()
    assert {row["split"] for row in rows} == {"train", "test"}


def test_digits_pixels_are_scikit_learns(handwritten: Index, tmp_path: Path) -> None:
    """17 grey levels over the whole range of a byte, with columns fresh or read back."""
    images = digits.read(None, handwritten.columns, 8, 1)
    assert images.shape == (1797, 8, 8, 1)
    assert images.dtype == np.uint8
    assert np.abs(images[..., 0] / 255 - load_digits().images / 16).max() <= 0.5 / 255
    assert (images.min(), images.max(), len(np.unique(images))) == (0, 255, 17)
    assert np.array_equal(digits.read(None, through_csv(handwritten.columns, tmp_path), 8, 1), images)


def test_digits_are_read_in_the_order_asked(handwritten: Index) -> None:
    rows = np.array([1700, 3, 3, 42])
    chosen, whole = take(handwritten.columns, rows), digits.read(None, handwritten.columns, 8, 1)
    assert np.array_equal(digits.read(None, chosen, 8, 1), whole[rows])


@pytest.mark.parametrize(("size", "channels"), [(8, 3), (32, 1), (32, 3)])
def test_digits_in_other_shapes(handwritten: Index, size: int, channels: int) -> None:
    """Resampled to any size, grey in every channel, the same picture."""
    chosen = take(handwritten.columns, np.arange(20))
    images = digits.read(None, chosen, size, channels)
    assert images.shape == (20, size, size, channels)
    assert all(np.array_equal(images[..., 0], images[..., channel]) for channel in range(channels))
    small = images[..., 0].reshape(20, 8, size // 8, 8, size // 8).mean((2, 4))
    there = digits.read(None, chosen, 8, 1)[..., 0]
    assert np.corrcoef(small.ravel(), there.ravel())[0, 1] > 0.95


@pytest.fixture
def digits_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that stands in for the one scikit-learn ships."""
    path = tmp_path / "digits.csv.gz"
    monkeypatch.setattr(importlib.resources, "files", lambda package: SimpleNamespace(joinpath=lambda name: path))
    return path


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(b"1,2,3\n" * 5),  # another number of columns
        gzip.compress(b",".join([b"0"] * 65) + b"\n" + b",".join([b"0"] * 64) + b"\n"),
        gzip.compress(b"no, numbers\n"),
        gzip.compress(b",".join([b"0"] * 65) * 99)[:-20],  # truncated
        b"not compressed at all",
        b"",
        pytest.param(gzip.compress(b"")[:10] + b"\xff" * 50),
    ],
    ids=["columns", "a short row", "text", "truncated", "raw", "empty", "damaged"],
)
@pytest.mark.filterwarnings("ignore:loadtxt")
def test_broken_digits_are_one_line(digits_file: Path, content: bytes, complaint: Complaint) -> None:
    digits_file.write_bytes(content)
    assert str(digits_file) in complaint(lambda: digits.index(None, {}))


def test_digits_other_than_the_split_file_says(digits_file: Path, complaint: Complaint) -> None:
    """A lacking image does not reshuffle the split: it is refused."""
    digits_file.write_bytes(gzip.compress((",".join(["0"] * 65) + "\n").encode() * 1796))
    text = complaint(lambda: digits.index(None, {}))
    assert str(digits.SPLIT) in text and "1797" in text and "1796" in text


def test_missing_digits_are_one_line(digits_file: Path, complaint: Complaint) -> None:
    assert str(digits_file) in complaint(lambda: digits.index(None, {}))


def test_split_files_are_checked(tmp_path: Path, complaint: Complaint) -> None:
    path = tmp_path / "split.csv"
    assert str(path) in complaint(lambda: read_split(path))
    path.write_text("name,split\na,train\nb,test\n")
    assert read_split(path) == {"a": "train", "b": "test"}
    path.write_text("name,split\na,train\na,test\n")
    assert "twice" in complaint(lambda: read_split(path))
    path.write_text("name,part\na,train\n")
    assert str(path) in complaint(lambda: read_split(path))


# --- photographs --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def natural() -> Index:
    return photographs.index(None, {"pool": 600})


@pytest.fixture(scope="module")
def patches(natural: Index) -> np.ndarray:
    """All of them at 8 x 8, in grey."""
    return photographs.read(None, natural.columns, 8, 1)


def test_photographs_exist_and_have_a_licence(natural: Index) -> None:
    assert [path.name for path, _ in natural.sources] == sorted(photographs.PHOTOGRAPHS)
    assert all(path.is_file() and licence.strip() for path, licence in natural.sources)


def test_patches_lie_inside_their_photograph(natural: Index) -> None:
    columns = natural.columns
    check_items("photographs", columns, ())
    assert set(columns["label"].tolist()) == {UNKNOWN}
    sizes = {name: Image.open(photographs._path(name)).size for name in photographs.PHOTOGRAPHS}
    width, height = np.array([sizes[name] for name in columns["file"]]).T
    rounding = 0.0011  # corners and sides are kept with three decimals
    assert (columns["left"] >= 0).all() and (columns["top"] >= 0).all()
    assert (columns["left"] + columns["side"] <= width + rounding).all()
    assert (columns["top"] + columns["side"] <= height + rounding).all()
    assert (columns["side"] >= 12 - rounding).all()


def test_patches_carry_a_varied_hierarchy(natural: Index) -> None:
    """Every photograph, every region and many scales occur; none of them is what nearly all images are."""
    columns = natural.columns
    assert set(columns["photograph"]) == {name.split(".")[0] for name in photographs.PHOTOGRAPHS}
    assert set(columns["region"]) == {f"{row}{column}" for row in range(3) for column in range(3)}
    assert len(set(columns["scale"])) >= 4
    for name in ("photograph", "region", "scale"):
        assert np.unique(columns[name], return_counts=True)[1].max() < 300


def test_patch_labels_say_where_it_lies(natural: Index) -> None:
    """A region is the third of the photograph that holds the patch's centre, a scale the doublings of its side."""
    columns = natural.columns
    for row in range(0, 600, 7):
        with Image.open(photographs._path(columns["file"][row])) as image:
            width, height = image.size
        side = columns["side"][row]
        right, down = (columns["left"][row] + side / 2) / width, (columns["top"][row] + side / 2) / height
        assert columns["region"][row] == f"{int(down * 3)}{int(right * 3)}"
        assert columns["scale"][row] == f"x{2 ** min(5, int(np.log2(side / 12)))}"


def test_patches_are_read_alone_as_among_all(natural: Index, patches: np.ndarray, tmp_path: Path) -> None:
    """A shard's pixels don't depend on what else is in it, nor on columns having been text in between."""
    rows = np.random.default_rng(0).permutation(600)[:40]
    assert np.array_equal(photographs.read(None, take(natural.columns, rows), 8, 1), patches[rows])
    back = take(through_csv(natural.columns, tmp_path), rows)
    assert np.array_equal(photographs.read(None, back, 8, 1), patches[rows])


@pytest.mark.parametrize(("size", "channels"), [(8, 3), (32, 1), (32, 3)])
def test_patches_in_other_shapes(natural: Index, patches: np.ndarray, size: int, channels: int) -> None:
    chosen = take(natural.columns, np.arange(30))
    images = photographs.read(None, chosen, size, channels)
    assert images.shape == (30, size, size, channels)
    assert images.dtype == np.uint8
    small = images.reshape(30, 8, size // 8, 8, size // 8, channels).mean((2, 4, 5))
    for one, there in zip(small, patches[:30, :, :, 0], strict=True):
        assert np.corrcoef(one.ravel(), there.ravel())[0, 1] > 0.7


def test_colour_is_kept_and_grey_stays_grey(natural: Index) -> None:
    images = photographs.read(None, natural.columns, 8, 3)
    spread = np.ptp(images.astype(int), axis=3).max((1, 2))
    grey = np.isin(natural.columns["photograph"], ["camera", "coins", "moon", "brick", "grass", "gravel"])
    assert spread[grey].max() == 0
    assert spread[natural.columns["photograph"] == "astronaut"].max() > 30


def test_patches_use_the_whole_range(natural: Index, patches: np.ndarray) -> None:
    """Stretched, nearly every patch goes from 0 to 255; as they are, few do."""
    whole = (patches.min((1, 2, 3)) == 0) & (patches.max((1, 2, 3)) == 255)
    assert whole.mean() > 0.9
    flat = photographs.index(None, {"pool": 600}, stretch=False).columns
    assert all(np.array_equal(flat[name], natural.columns[name]) for name in flat if name != "stretch")
    plain = photographs.read(None, flat, 8, 1)
    assert ((plain.min((1, 2, 3)) == 0) & (plain.max((1, 2, 3)) == 255)).mean() < 0.1
    # A patch is stretched exactly where its contrast is at least 8 of 255 (give or take rounding).
    contrast = np.ptp(plain.astype(int), axis=(1, 2, 3))
    assert whole[contrast >= 9].all()
    assert not whole[contrast < 7].any()


def test_stretching_by_hand() -> None:
    means = np.array([[10.0, 20.0], [5.0, 5.0], [100.0, 104.0]]).reshape(3, 1, 2, 1)
    assert photographs._stretch(means).ravel().tolist() == [0, 255, 0, 0, 0, 127.5]


def test_other_seeds_give_other_patches(natural: Index) -> None:
    again, other = (photographs.index(None, {"pool": 600}, seed=seed).columns for seed in (0, 1))
    assert all(np.array_equal(again[name], natural.columns[name]) for name in again)
    assert not np.array_equal(other["left"], natural.columns["left"])


def test_area_averaging_of_aligned_patches() -> None:
    """Means of blocks of whole pixels, as numpy and Pillow have them."""
    pixels = np.random.default_rng(0).integers(0, 256, (14, 17, 3)).astype(np.uint8)
    table = photographs._summed_area(pixels.astype(float))
    left, top, side, size = 3, 1, 12, 4
    corner = np.array([float(left)]), np.array([float(top)])
    [means] = photographs._box_means(table, *corner, np.array([float(side)]), size)
    blocks = pixels[top : top + side, left : left + side].reshape(size, 3, size, 3, 3).mean((1, 3))
    assert np.abs(means - blocks).max() < 1e-9
    box = (left, top, left + side, top + side)
    pillow = Image.fromarray(pixels[..., 0].astype(np.float32)).resize((size, size), Image.Resampling.BOX, box=box)
    assert np.abs(means[..., 0] - np.asarray(pillow)).max() < 1e-3


def test_area_averaging_of_fractional_patches() -> None:
    """Borders at quarters of pixels: the same as whole pixels of the photograph enlarged four times."""
    pixels = np.random.default_rng(1).uniform(0, 255, (10, 11, 1))
    large = pixels.repeat(4, 0).repeat(4, 1)
    left, top, side = np.array([0.25, 2.5, 3.0, 0.0]), np.array([0.75, 0.0, 2.0, 2.0]), np.array([7.0, 8.5, 8.0, 3.0])
    means = photographs._box_means(photographs._summed_area(pixels), left, top, side, 2)
    for mean, x, y, extent in zip(means, left * 4, top * 4, side * 4, strict=True):
        cut = large[int(y) : int(y + extent), int(x) : int(x + extent)]
        half = int(extent) // 2
        assert cut.shape[0] == cut.shape[1] == 2 * half
        assert np.abs(mean - cut.reshape(2, half, 2, half, 1).mean((1, 3))).max() < 1e-3


def test_patch_that_fills_the_photograph_reaches_its_last_pixel() -> None:
    pixels = np.zeros((8, 8, 1))
    pixels[7, 7] = 64
    table = photographs._summed_area(pixels)
    [means] = photographs._box_means(table, np.array([0.0]), np.array([0.0]), np.array([8.0]), 4)
    assert means[3, 3, 0] == pytest.approx(16, rel=1e-3)
    assert np.abs(means.sum() - 16) < 0.01


@pytest.fixture
def one_photograph(tmp_path: Path, natural: Index, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that stands in for every photograph."""
    path = tmp_path / "photograph.png"
    monkeypatch.setattr(photographs, "_path", lambda name: path)
    return path


@pytest.mark.parametrize("share", [0.5, 0.95])
@pytest.mark.parametrize("photograph", ["cell.png", "rocket.jpg"])
def test_truncated_photograph_is_one_line(
    natural: Index, photograph: str, share: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complaint: Complaint
) -> None:
    content = photographs._path(photograph).read_bytes()
    path = tmp_path / photograph
    path.write_bytes(content[: int(share * len(content))])
    monkeypatch.setattr(photographs, "_path", lambda name: path)
    chosen = take(natural.columns, np.arange(3))
    assert str(path) in complaint(lambda: photographs.read(None, chosen, 8, 1))


def test_file_that_is_no_image_is_one_line(natural: Index, one_photograph: Path, complaint: Complaint) -> None:
    one_photograph.write_bytes(b"not an image")
    chosen = take(natural.columns, np.arange(3))
    assert str(one_photograph) in complaint(lambda: photographs.read(None, chosen, 8, 3))


def test_file_that_is_no_image_is_one_line_in_the_index(one_photograph: Path, complaint: Complaint) -> None:
    one_photograph.write_bytes(b"not an image")
    assert str(one_photograph) in complaint(lambda: photographs.index(None, {"pool": 10}))


def test_missing_photograph_is_one_line(monkeypatch: pytest.MonkeyPatch, complaint: Complaint) -> None:
    monkeypatch.setattr(photographs, "PHOTOGRAPHS", {"yeti.png": "CC0"})
    assert "yeti.png" in complaint(lambda: photographs.index(None, {"pool": 10}))


# --- fonts --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rendered() -> Index:
    return fonts.index(None, {"pool": 1003})


@pytest.fixture(scope="module")
def glyphs(rendered: Index) -> np.ndarray:
    """All of them at 8 x 8."""
    return fonts.read(None, rendered.columns, 8, 1)


def test_fonts_exist_and_have_a_licence(rendered: Index) -> None:
    assert len(rendered.sources) == len(fonts.FONTS) == len(set(fonts.FONTS))
    assert all(path.is_file() and licence.strip() for path, licence in rendered.sources)
    assert set(rendered.columns["font"]) == set(fonts.FONTS)


def test_labels_of_rendered_digits_are_balanced(rendered: Index) -> None:
    check_items("fonts", rendered.columns, rendered.classes)
    counts = np.bincount(rendered.columns["label"], minlength=10)
    assert counts.max() - counts.min() <= 1
    first = np.bincount(rendered.columns["label"][:200], minlength=10)  # and they come in random order
    assert first.min() > 5
    assert not np.array_equal(rendered.columns["label"], np.arange(1003) % 10)


def test_rendered_digits_are_read_alone_as_among_all(rendered: Index, glyphs: np.ndarray, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).permutation(1003)[:60]
    assert np.array_equal(fonts.read(None, take(rendered.columns, rows), 8, 1), glyphs[rows])
    assert np.array_equal(fonts.read(None, take(rendered.columns, rows[:1]), 8, 1), glyphs[rows[:1]])
    back = take(through_csv(rendered.columns, tmp_path), rows)
    assert np.array_equal(fonts.read(None, back, 8, 1), glyphs[rows])


def test_rendering_does_not_depend_on_chunks(rendered: Index) -> None:
    """At 64 pixels a chunk holds 256 images: the ones after it are those that are read alone."""
    rows = np.r_[np.arange(252), np.arange(6)]
    images = fonts.read(None, take(rendered.columns, rows), 64, 1)
    assert images.shape == (258, 64, 64, 1)
    assert np.array_equal(images[252:], images[:6])
    assert np.array_equal(fonts.read(None, take(rendered.columns, rows[-3:]), 64, 1), images[-3:])


def test_no_rendered_digit_is_no_problem(rendered: Index) -> None:
    assert fonts.read(None, take(rendered.columns, np.arange(0)), 8, 3).shape == (0, 8, 8, 3)


def test_rendered_digits_in_colour_are_grey(rendered: Index) -> None:
    chosen = take(rendered.columns, np.arange(9))
    grey, colour = (fonts.read(None, chosen, 32, channels) for channels in (1, 3))
    assert grey.shape == (9, 32, 32, 1)
    assert np.array_equal(colour, grey.repeat(3, 3))


def test_other_seeds_give_other_digits(rendered: Index) -> None:
    again, other = (fonts.index(None, {"pool": 1003}, seed=seed).columns for seed in (0, 1))
    assert all(np.array_equal(again[name], rendered.columns[name]) for name in again)
    for name in ("label", "font", "zoom", "grain"):
        assert not np.array_equal(other[name], rendered.columns[name])
    here, there = (fonts.read(None, take(columns, np.arange(50)), 8, 1) for columns in (again, other))
    assert not np.array_equal(here, there)


def test_looks_vary_between_images(rendered: Index, glyphs: np.ndarray) -> None:
    """No two digits are the same picture; the grain differs even where all else is equal."""
    assert len(np.unique(glyphs.reshape(1003, -1), axis=0)) == 1003
    twice = take(rendered.columns, np.array([4, 4]))
    twice["noise"], twice["grain"] = np.array([0.06, 0.06]), np.array([1, 2])
    one, other = fonts.read(None, twice, 32, 1).astype(int)
    assert 0 < np.abs(one - other).mean() < 16


@pytest.mark.parametrize(("size", "least"), [(8, 0.6), (16, 0.6)])
def test_rendered_digits_are_legible(rendered: Index, size: int, least: float) -> None:
    """The nearest mean of the other half's classes names the digit far more often than one time in ten."""
    labels = rendered.columns["label"][:1000]
    images = fonts.read(None, take(rendered.columns, np.arange(1000)), size, 1).reshape(1000, -1).astype(float)
    means = np.stack([images[:500][labels[:500] == label].mean(0) for label in range(10)])
    nearest = ((images[500:, None] - means) ** 2).sum(2).argmin(1)
    assert (nearest == labels[500:]).mean() > least


def test_missing_font_is_one_line(monkeypatch: pytest.MonkeyPatch, complaint: Complaint) -> None:
    monkeypatch.setattr(fonts, "FONTS", ("NoSuchFont",))
    assert "NoSuchFont" in complaint(lambda: fonts.index(None, {"pool": 10}))


def test_broken_font_is_one_line(
    rendered: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complaint: Complaint
) -> None:
    (tmp_path / "broken.ttf").write_bytes(b"not a font")
    monkeypatch.setattr(fonts, "_path", lambda font: tmp_path / "broken.ttf")
    assert "broken.ttf" in complaint(lambda: fonts.read(None, take(rendered.columns, np.arange(3)), 8, 1))
