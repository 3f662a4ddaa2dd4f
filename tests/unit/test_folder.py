"""Folders of images: listed without decoding, decoded as the papers do, and honest about what is broken or missing."""

import hashlib
import json
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import decode_queries
import decode_split
import list_images
import numpy as np
import pytest
import torchvision
from PIL import Image

from mimeo.datasets import UNKNOWN, Index, Missing, folder
from mimeo.items import check_items, load_items, save_items, take

Complaint = Callable[[Callable[[], object]], str]
SPLITS = {"train": 4, "test": 2}
FILES = [
    "train/cat/b.png",
    "train/cat/a.jpg",
    "train/dog/x/1.bmp",
    "train/dog/2.WEBP",
    "test/dog/1.JPEG",
    "test/cat/3.gif",
]
PETS = "pets"


def picture(path: Path, width: int = 40, height: int = 30, mode: str = "RGB", seed: int = 0) -> Path:
    """A file with a smooth random picture, in the format that its name says."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3)).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).convert(mode).save(path)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of data sets with one of six images in two classes, and files that are none of its images."""
    for number, name in enumerate(FILES):
        picture(tmp_path / PETS / name, seed=number)
    (tmp_path / PETS / "train" / "labels.txt").write_text("no image")
    (tmp_path / PETS / "train" / "cat" / "._a.jpg").write_text("no image")
    (tmp_path / PETS / "train" / "cat" / ".cache").mkdir()
    picture(tmp_path / PETS / "elsewhere" / "owl" / "1.png")
    return tmp_path


def listed(data: Path | None, splits: dict[str, int] = SPLITS, **parameters: Any) -> Index:
    return folder.index(data, splits, **{"folder": PETS, **parameters})


def decoded(data: Path, path: Path, size: int = 8, channels: int = 3, fit: str = "crop") -> np.ndarray:
    """One image of the data set, through its column."""
    items = {
        "name": np.array([path.relative_to(data / PETS).as_posix()]),
        "place": np.array([PETS]),
        "bytes": np.array([path.stat().st_size]),
        "fit": np.array([fit]),
    }
    return folder.read(data, items, size, channels)[0]


# --- lists ----------------------------------------------------------------------------------------------------


def test_names_in_order_with_split_and_class(data: Path) -> None:
    """Sorted by name; the first folder is the split, the second the class; deeper ones and other files don't count."""
    index = listed(data)
    check_items(PETS, index.columns, index.classes)
    assert index.columns["name"].tolist() == sorted(FILES)
    assert index.classes == ("cat", "dog")
    assert index.columns["label"].tolist() == [0, 1, 0, 0, 1, 1]
    assert index.columns["split"].tolist() == ["test"] * 2 + ["train"] * 4
    assert index.columns["bytes"].tolist() == [(data / PETS / name).stat().st_size for name in sorted(FILES)]


def test_a_listing_opens_no_image(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by Pillow nor as a file: what is in them is not looked at."""
    monkeypatch.setattr(Image, "open", None)
    for name in FILES:
        (data / PETS / name).write_text("no image")
        (data / PETS / name).chmod(0)
    assert len(listed(data).columns["name"]) == 6


def test_a_listing_depends_on_no_order_of_the_disk(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there, plain = listed(data), Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda path: reversed(list(plain(path))))
    again = listed(data)
    assert again.summary == there.summary
    assert all(np.array_equal(again.columns[name], there.columns[name]) for name in there.columns)


def test_summary_stands_for_the_files(data: Path) -> None:
    """How many images and bytes, and a digest that a name or a size changes, where the folder lies does not."""
    summary = listed(data).summary
    sizes = {name: (data / PETS / name).stat().st_size for name in FILES}
    text = "".join(f"{name}\t{sizes[name]}\n" for name in sorted(FILES))
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert summary == {"images": 6, "bytes": sum(sizes.values()), "sha256_of_names_and_sizes": digest}
    data.rename(data.with_name("moved"))
    moved = data.with_name("moved")
    assert listed(moved).summary == summary
    (moved / PETS / FILES[0]).rename(moved / PETS / "train/cat/c.png")
    assert listed(moved).summary["sha256_of_names_and_sizes"] != digest


def test_unlabelled_splits(data: Path) -> None:
    """Their images may lie at any depth and have no class; those of other splits keep theirs."""
    picture(data / PETS / "pool" / "1.png")
    picture(data / PETS / "pool" / "deep" / "er" / "2.png")
    pool = listed(data, {"pool": 2}, unlabelled=["pool"])
    assert pool.columns["name"].tolist() == ["pool/1.png", "pool/deep/er/2.png"]
    assert pool.columns["label"].tolist() == [UNKNOWN] * 2
    assert pool.classes == ()
    both = listed(data, {**SPLITS, "pool": 2}, unlabelled=["pool"])
    assert both.classes == ("cat", "dog")
    assert (both.columns["label"] == UNKNOWN).sum() == 2


def test_image_outside_a_class(data: Path, complaint: Complaint) -> None:
    picture(data / PETS / "train" / "stray.png")
    text = complaint(lambda: listed(data))
    assert str(data / PETS / "train/stray.png") in text and "unlabelled" in text
    assert "'pond'" in complaint(lambda: listed(data, unlabelled=["pond"]))


@pytest.fixture
def split_file(data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Classes without splits, and a split file that leaves one image out."""
    monkeypatch.setattr(folder, "SPLITS", data / "splits")
    for name in ("cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png", "dog/3.png", "clutter/1.png"):
        picture(data / "flat" / name)
    file = data / "splits" / "pets_60.csv"
    file.parent.mkdir()
    file.write_text("name,split\ncat/1.png,train\ndog/3.png,train\ncat/2.png,test\ndog/1.png,test\ndog/2.png,spare\n")
    return file


def test_split_file(data: Path, split_file: Path, complaint: Complaint) -> None:
    """It says what belongs where; images that it does not name, and splits that are not declared, are left out."""
    flat = {"folder": "flat", "split_file": "pets_60"}
    index = listed(data, {"train": 2, "test": 2}, **flat)
    assert index.columns["name"].tolist() == ["cat/1.png", "cat/2.png", "dog/1.png", "dog/3.png"]
    assert index.columns["split"].tolist() == ["train", "test", "test", "train"]
    assert index.classes == ("cat", "dog")
    (data / "flat/dog/1.png").unlink()
    text = complaint(lambda: listed(data, SPLITS, **flat))
    assert "1 images" in text and "'dog/1.png'" in text
    split_file.unlink()
    assert str(split_file) in complaint(lambda: listed(data, SPLITS, **flat))


def test_links_are_followed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """To images, to folders, and the data set's own folder."""
    store = tmp_path_factory.mktemp("store")
    (data / PETS).rename(store / "there")
    (data / PETS).symlink_to(store / "there")
    picture(store / "owls" / "1.png")
    (store / "there/train/owl").symlink_to(store / "owls")
    (store / "there/train/cat/c.png").symlink_to(store / "owls/1.png")
    index = listed(data)
    assert set(index.columns["name"]) == {*FILES, "train/owl/1.png", "train/cat/c.png"}
    assert folder.read(data, index.columns, 8, 3).shape == (8, 8, 8, 3)


def test_links_in_a_circle(data: Path, complaint: Complaint) -> None:
    (data / PETS / "train/cat/again").symlink_to(data / PETS / "train")
    assert "train/cat/again" in complaint(lambda: listed(data))


def test_broken_link(data: Path, complaint: Complaint) -> None:
    (data / PETS / "train/cat/gone.png").symlink_to(data / "nowhere.png")
    text = complaint(lambda: listed(data))
    assert "gone.png" in text and "broken link" in text


def test_empty_file(data: Path, complaint: Complaint) -> None:
    (data / PETS / "train/cat/a.jpg").write_bytes(b"")
    assert "train/cat/a.jpg" in complaint(lambda: listed(data))


@pytest.mark.skipif(sys.platform == "darwin", reason="names are text there")
@pytest.mark.parametrize("name", [b"a\nb.png", b"\xff.png"])
def test_names_that_no_list_can_hold(data: Path, name: bytes, complaint: Complaint) -> None:
    picture(data / "1.png").rename(data / PETS / "train/cat" / name.decode("utf-8", "surrogateescape"))
    assert "cannot be printed" in complaint(lambda: listed(data))


@pytest.mark.parametrize("place", ["/etc", "../pets", "a/../../b"])
def test_folder_outside(data: Path, place: str, complaint: Complaint) -> None:
    assert "parameter folder" in complaint(lambda: listed(data, folder=place))


def test_unknown_fit(data: Path, complaint: Complaint) -> None:
    assert "crop, squash" in complaint(lambda: listed(data, fit="stretch"))


def test_missing_data(data: Path) -> None:
    with pytest.raises(Missing, match=r"MIMEO_DATA is not set.*'pets'"):
        listed(None)
    with pytest.raises(Missing, match=f"no folder {data / PETS / 'validation'}"):
        listed(data, {"validation": 1})
    with pytest.raises(Missing, match=f"no folder {data / 'birds'}"):
        listed(data, folder="birds")


# --- pixels ---------------------------------------------------------------------------------------------------


def papers(path: Path, size: int, channels: int = 3) -> np.ndarray:
    """What torchvision makes of an image: the transformation that the papers' networks are tested with."""
    short = round(size * 256 / 224)
    change = torchvision.transforms.Compose(
        [torchvision.transforms.Resize(short), torchvision.transforms.CenterCrop(size)]
    )
    with Image.open(path) as image:
        return np.asarray(change(image.convert("RGB" if channels == 3 else "L"))).reshape(size, size, channels)


@pytest.mark.parametrize("shape", [(500, 375), (333, 500), (256, 256), (100, 80), (40, 301), (224, 224), (61, 60)])
@pytest.mark.parametrize("size", [224, 32])
def test_crop_is_the_papers(data: Path, shape: tuple[int, int], size: int) -> None:
    """Shorter side to 256 of 224, then the centre, to within rounding."""
    path = picture(data / PETS / "train/cat/big.png", *shape)
    ours = decoded(data, path, size).astype(int)
    assert ours.shape == (size, size, 3)
    difference = np.abs(ours - papers(path, size))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.02


def test_squash_is_the_whole_image(data: Path) -> None:
    path = picture(data / PETS / "train/cat/wide.png", 90, 30)
    with Image.open(path) as image:
        whole = np.asarray(image.resize((20, 20), Image.Resampling.BILINEAR))
    assert np.array_equal(decoded(data, path, 20, fit="squash"), whole)
    assert not np.array_equal(decoded(data, path, 20), whole)


def test_extreme_shape_takes_little_memory(data: Path) -> None:
    """2 x 60,000 pixels, whose shorter side at 256 would make the longer 7.7 million."""
    path = picture(data / PETS / "train/cat/line.png", 60_000, 2)
    assert decoded(data, path, 224).shape == (224, 224, 3)


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "webp", "gif", "tif", "ppm"])
def test_formats(data: Path, suffix: str) -> None:
    """Every format gives about the same picture."""
    plain = decoded(data, picture(data / PETS / "train/cat/plain.png"), 16)
    other = decoded(data, picture(data / PETS / f"train/cat/other.{suffix}"), 16)
    assert np.abs(plain.astype(int) - other).mean() < 8


@pytest.mark.parametrize(
    ("mode", "suffix"), [("L", "png"), ("P", "png"), ("RGBA", "png"), ("LA", "png"), ("CMYK", "jpg"), ("1", "png")]
)
def test_modes(data: Path, mode: str, suffix: str) -> None:
    """Any mode becomes three channels or one, as Pillow converts it."""
    path = picture(data / PETS / f"train/cat/mode.{suffix}", 64, 64, mode)
    assert np.abs(decoded(data, path, 32).astype(int) - papers(path, 32)).max() <= 1
    assert decoded(data, path, 32, 1).shape == (32, 32, 1)
    assert np.abs(decoded(data, path, 32, 1).astype(int) - papers(path, 32, 1)).max() <= 1


def test_sixteen_bits_keep_the_upper_eight(data: Path) -> None:
    path = data / PETS / "train/cat/deep.png"
    Image.fromarray(np.full((9, 9), 0x80FF, np.uint16)).save(path)
    assert np.unique(decoded(data, path)).tolist() == [0x80]


def test_images_in_the_order_asked(data: Path, tmp_path: Path) -> None:
    """Alone as among all, columns fresh or read back from a list, twice where asked twice."""
    index = listed(data)
    whole = folder.read(data, index.columns, 8, 3)
    save_items(str(tmp_path / "items.csv"), index.columns)
    rows = np.array([5, 0, 0, 3])
    assert np.array_equal(folder.read(data, take(load_items(str(tmp_path / "items.csv")), rows), 8, 3), whole[rows])
    for row, name in enumerate(sorted(FILES)):
        assert np.abs(whole[row].astype(int) - papers(data / PETS / name, 8)).max() <= 2


def test_no_image_at_all(data: Path) -> None:
    assert folder.read(data, take(listed(data).columns, np.arange(0)), 8, 3).shape == (0, 8, 8, 3)


def bomb(width: int, height: int) -> bytes:
    """A small PNG file that claims a size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_oversized_image(data: Path, complaint: Complaint, recwarn: pytest.WarningsRecorder) -> None:
    """Refused by what its header says, before a pixel is decoded."""
    for side in (12_000, 60_000):
        path = data / PETS / f"train/cat/bomb{side}.png"
        path.write_bytes(bomb(side, side))
        assert str(path) in complaint(lambda path=path: decoded(data, path))  # type: ignore[misc]
    assert not recwarn.list


@pytest.mark.parametrize("name", ["train/cat/a.jpg", "train/cat/b.png", "train/dog/x/1.bmp", "train/dog/2.WEBP"])
@pytest.mark.parametrize("harm", ["cut", "emptied", "text", "header"])
def test_damaged_image_is_one_line(data: Path, name: str, harm: str, complaint: Complaint) -> None:
    path = data / PETS / name
    whole = path.read_bytes()
    cut = len(whole) * 6 // 10
    path.write_bytes({"cut": whole[:cut], "emptied": b"\0" * 99, "text": b"no image", "header": whole[:12]}[harm])
    assert str(path) in complaint(lambda: decoded(data, path))


def test_other_formats_are_not_opened(data: Path, complaint: Complaint) -> None:
    """A PostScript file named like a photograph would start another program."""
    path = data / PETS / "train/cat/a.jpg"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    assert str(path) in complaint(lambda: decoded(data, path))


def test_the_first_damaged_image_is_named(data: Path, complaint: Complaint) -> None:
    """Whichever thread comes first."""
    index = listed(data)
    for name in FILES:
        (data / PETS / name).write_bytes(b"x" * (data / PETS / name).stat().st_size)
    assert sorted(FILES)[0] in complaint(lambda: folder.read(data, index.columns, 8, 3))


def test_file_that_has_changed_or_gone(data: Path, complaint: Complaint) -> None:
    """An image replaced since it was listed is noticed where its length differs."""
    index = listed(data)
    (data / PETS / "train/cat/a.jpg").write_bytes(b"longer than it was" * 500)
    assert "train/cat/a.jpg" in complaint(lambda: folder.read(data, index.columns, 8, 3))
    (data / PETS / "train/cat/a.jpg").unlink()
    assert "train/cat/a.jpg" in complaint(lambda: folder.read(data, index.columns, 8, 3))
    with pytest.raises(Missing, match="MIMEO_DATA"):
        folder.read(None, index.columns, 8, 3)


# --- stages ---------------------------------------------------------------------------------------------------

SPEC = {"plugin": "folder", "parameters": {"folder": PETS}, "splits": SPLITS, "classes": ["cat", "dog"]}


def list_them(out: Path, **changes: Any) -> dict[str, Any]:
    """Runs the stage, and returns what its manifest says."""
    list_images.main(PETS, SPEC | changes, [], str(out / "items.csv"), str(out / "manifest.json"))
    return json.loads((out / "manifest.json").read_text())


@pytest.fixture
def out(data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where stages write, with the variable set."""
    monkeypatch.setenv("MIMEO_DATA", str(data))
    return data / "out"


def test_stages_list_and_decode(data: Path, out: Path) -> None:
    """A list and its manifest, the test split, and a shard of queries; none of them says where the data lie."""
    manifest = list_them(out)
    assert manifest["classes"] == ["cat", "dog"]
    assert manifest["splits"] == {"test": 2, "train": 4}
    assert manifest["sources"] == []
    assert manifest["summary"]["images"] == 6
    spec = {"plugin": "folder", "size": 16, "channels": 3}
    places = [str(out / name) for name in ("items.csv", "manifest.json", "test.npy", "test-labels.npy")]
    decode_split.main(PETS, "test", spec, *places)
    images = np.load(out / "test.npy")
    assert np.abs(images[0].astype(int) - papers(data / PETS / "test/cat/3.gif", 16)).max() <= 2
    assert np.load(out / "test-labels.npy").tolist() == [0, 1]
    np.savez(out / "order.npz", part=np.zeros(2, np.int16), row=np.array([1, 0]))
    decode_queries.main([spec], 0, 2, str(out / "order.npz"), [str(out / "items.csv")], str(out / "shard.npy"))
    assert np.array_equal(np.load(out / "shard.npy"), images[::-1])
    for file in ("items.csv", "manifest.json"):
        assert str(data) not in (out / file).read_text()


def test_classes_by_number(out: Path, complaint: Complaint) -> None:
    """Their names come from the list, and their number must be the one declared."""
    assert list_them(out, classes=2)["classes"] == ["cat", "dog"]
    text = complaint(lambda: list_them(out, classes=3))
    assert "2 classes" in text and "says 3" in text
    assert "'owl'" in complaint(lambda: list_them(out, classes=["cat", "owl"]))


def test_other_counts_than_declared(out: Path, complaint: Complaint) -> None:
    text = complaint(lambda: list_them(out, splits={"train": 5, "test": 2}))
    assert "'train'" in text and "4 images" in text and "says 5" in text


def test_missing_data_say_what_to_get(out: Path, monkeypatch: pytest.MonkeyPatch, complaint: Complaint) -> None:
    """One line: what is not there, what to fetch, from where and where to put it."""
    obtain = "pets.tar from the pet society,\n laid out as train/ and test/"
    text = complaint(lambda: list_them(out, parameters={"folder": "cats"}, obtain=obtain))
    assert "cats/train" in text and "pets.tar from the pet society, laid out" in text
    monkeypatch.delenv("MIMEO_DATA")
    text = complaint(lambda: list_them(out, obtain=obtain))
    assert "MIMEO_DATA" in text and "pet society" in text
    assert "does not say" in complaint(lambda: list_them(out))
