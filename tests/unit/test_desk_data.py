"""The data sets of desk scale, on small files in their true formats: found, checked, fetched, decoded, and honest."""

import gzip
import hashlib
import http.server
import io
import json
import tarfile
import threading
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import decode_split
import list_images
import numpy as np
import pytest
import torchvision.datasets as official
import yaml
from PIL import Image
from scipy.io import savemat

from mimeo.datasets import UNKNOWN, Index, Missing, cifar, gtsrb, idx, omniglot, stl10, svhn
from mimeo.downloads import Published, facts, find, obtain
from mimeo.errors import MimeoError
from mimeo.items import check_items, load_items, save_items, take
from mimeo.pictures import squares

Complaint = Callable[[Callable[[], object]], str]
Publish = Callable[[Published, bytes], Path]
ROOT = Path(__file__).resolve().parents[2]
ENTRIES: dict[str, Any] = yaml.safe_load((ROOT / "config/ingredients/datasets.yaml").read_text())
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
PLUGINS: dict[str, Any] = {
    module.__name__.rsplit(".", 1)[1]: module for module in (idx, cifar, svhn, gtsrb, stl10, omniglot)
}
DESK = [name for name, entry in ENTRIES.items() if entry.get("plugin", name) in PLUGINS]


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that reaches for the network fails, whatever it expects."""

    def refused(*arguments: Any, **options: Any) -> None:
        raise AssertionError("the network")

    monkeypatch.setattr(urllib.request, "urlopen", refused)


@pytest.fixture
def publish(tmp_path: Path) -> Iterator[Publish]:
    """Writes content where a published file belongs, and lets that be what is published, until the test ends."""
    before: dict[int, tuple[Published, str]] = {}

    def put(file: Published, content: bytes) -> Path:
        before.setdefault(id(file), (file, file.md5))
        object.__setattr__(file, "md5", hashlib.md5(content).hexdigest())
        path = tmp_path / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    yield put
    for file, md5 in before.values():
        object.__setattr__(file, "md5", md5)


# --- small files in the true formats --------------------------------------------------------------------------


@dataclass(frozen=True)
class Made:
    """A small data set as written: its plug-in's arguments, and what must come out at the size of its images."""

    plugin: Any
    splits: dict[str, int]
    parameters: dict[str, Any]
    images: np.ndarray
    labels: list[int]
    files: list[Path]

    def listed(self, source: Path | None) -> Index:
        return self.plugin.index(source, self.splits, **self.parameters)


def pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).integers(0, 256, shape).astype(np.uint8)


def idx_file(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return gzip.compress(header + array.tobytes())


def zipped(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, held in files.items():
            archive.writestr(name, held)
    return content.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, held in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(held)
            archive.addfile(entry, io.BytesIO(held))
    return content.getvalue()


def picture(array: np.ndarray, kind: str) -> bytes:
    content = io.BytesIO()
    Image.fromarray(array).save(content, kind)
    return content.getvalue()


def make_four(name: str, publish: Publish) -> Made:
    images, labels = pixels(7, 28, 28), np.array([3, 0, 9, 1, 1, 2, 8], np.uint8)
    held = [images[:5], labels[:5], images[5:], labels[5:]]
    files = [publish(file, idx_file(array)) for file, array in zip(idx.COLLECTIONS[name].files, held, strict=True)]
    return Made(idx, {"train": 5, "test": 2}, {"name": name}, images, labels.tolist(), files)


def make_emnist(publish: Publish) -> Made:
    """Images lie on their side in the files."""
    images, labels = pixels(4, 28, 28), np.array([46, 0, 10, 35], np.uint8)
    lying = images.swapaxes(1, 2)
    files = {"gzip/emnist-letters-train-labels-idx1-ubyte.gz": b"not looked at"}
    for split, rows in (("train", slice(3)), ("test", slice(3, 4))):
        files[f"gzip/emnist-balanced-{split}-images-idx3-ubyte.gz"] = idx_file(lying[rows])
        files[f"gzip/emnist-balanced-{split}-labels-idx1-ubyte.gz"] = idx_file(labels[rows])
    path = publish(idx.COLLECTIONS["EMNIST"].files[0], zipped(files))
    return Made(idx, {"train": 3, "test": 1}, {"name": "EMNIST"}, images, labels.tolist(), [path])


def make_cifar10(publish: Publish) -> Made:
    images, labels = pixels(12, 32, 32, 3), np.arange(12) % 10
    rows = np.concatenate([labels[:, None].astype(np.uint8), images.transpose(0, 3, 1, 2).reshape(12, -1)], 1)
    names = "\n".join(ENTRIES["cifar10"]["classes"]) + "\n\n"
    files = {"cifar-10-batches-bin/batches.meta.txt": names.encode()}
    for number in (3, 1, 2, 5, 4):  # an archive's order is not the numbers'
        files[f"cifar-10-batches-bin/data_batch_{number}.bin"] = rows[2 * number - 2 : 2 * number].tobytes()
    files["cifar-10-batches-bin/test_batch.bin"] = rows[10:].tobytes()
    path = publish(cifar.VERSIONS["CIFAR10"].file, tarred(files))
    return Made(cifar, {"train": 10, "test": 2}, {"name": "CIFAR10"}, images, labels.tolist(), [path])


def make_cifar100(publish: Publish) -> Made:
    images, labels = pixels(5, 32, 32, 3), np.array([[19, 99], [0, 1], [4, 4], [0, 0], [7, 50]], np.uint8)
    rows = np.concatenate([labels, images.transpose(0, 3, 1, 2).reshape(5, -1)], 1)
    files = {
        "cifar-100-binary/coarse_label_names.txt": "\n".join(f"kind{number:02d}" for number in range(20)).encode(),
        "cifar-100-binary/fine_label_names.txt": "\n".join(f"thing{number:02d}" for number in range(100)).encode(),
        "cifar-100-binary/train.bin": rows[:3].tobytes(),
        "cifar-100-binary/test.bin": rows[3:].tobytes(),
    }
    path = publish(cifar.VERSIONS["CIFAR100"].file, tarred(files))
    return Made(cifar, {"train": 3, "test": 2}, {"name": "CIFAR100"}, images, labels[:, 1].tolist(), [path])


def make_svhn(publish: Publish) -> Made:
    """The digit 0 is class 10 of the files."""
    images, labels = pixels(6, 32, 32, 3), np.array([10, 1, 9, 5, 10, 2], np.uint8)
    files = []
    for split, rows in (("train", slice(4)), ("test", slice(4, 6))):
        content = io.BytesIO()
        arrays = {"X": images[rows].transpose(1, 2, 3, 0), "y": labels[rows][:, None]}
        savemat(content, arrays, do_compression=True)
        files.append(publish(svhn.FILES[split], content.getvalue()))
    return Made(svhn, {"train": 4, "test": 2}, {}, images, [0, 1, 9, 5, 0, 2], files)


def make_gtsrb(publish: Publish) -> Made:
    """Images of other shapes than squares; the test images' classes are in a table of their own."""
    large, labels = pixels(5, 40, 36, 3), [0, 42, 42, 17, 3]
    names = ["00000/00000_00000", "00042/00000_00000", "00042/00001_00029"]
    training = {f"GTSRB/Training/{name}.ppm": picture(large[row], "PPM") for row, name in enumerate(names)}
    test = {f"GTSRB/Final_Test/Images/{row:05d}.ppm": picture(large[3 + row], "PPM") for row in range(2)}
    header = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\r\n"
    table = header + "00001.ppm;36;40;5;5;31;35;3\r\n00000.ppm;36;40;5;5;31;35;17\r\n"
    files = [
        publish(gtsrb.TRAINING, zipped({"GTSRB/Readme-Images.txt": b"-", **training})),
        publish(gtsrb.TEST, zipped({"GTSRB/Final_Test/Images/GT-final_test.test.csv": b"-", **test})),
        publish(gtsrb.TRUTH, zipped({gtsrb.TABLE: table.encode()})),
    ]
    small = [Image.fromarray(image).resize((32, 32), Image.Resampling.BILINEAR) for image in large]
    return Made(gtsrb, {"train": 3, "test": 2}, {}, np.stack([np.asarray(image) for image in small]), labels, files)


def make_omniglot(publish: Publish) -> Made:
    """Bits, 0 where there is ink; classes count over both archives."""
    drawn = pixels(5, 105, 105) < 128
    places = {
        "background": ["Greek/character02/0394_01", "Greek/character02/0394_02", "Latin/character01/0675_01"],
        "evaluation": ["Avesta/character01/0001_01", "Greek/character01/0393_20"],
    }
    files, row = [], 0
    for split, names in places.items():
        held = {}
        for name in names:
            held[f"images_{split}/{name}.png"] = picture(drawn[row], "PNG")
            row += 1
        files.append(publish(omniglot.FILES[split], zipped(held)))
    small = [Image.fromarray(image).convert("L").resize((32, 32), Image.Resampling.BILINEAR) for image in drawn]
    images = np.stack([np.asarray(image) for image in small])
    return Made(omniglot, {"background": 3, "evaluation": 2}, {}, images, [2, 2, 3, 0, 1], files)


def make_stl10(publish: Publish) -> Made:
    """Channels, then columns, then rows."""
    large = pixels(3, 96, 96, 3)
    held = large.transpose(0, 3, 2, 1).tobytes()
    path = publish(stl10.IMAGES, held)
    path.unlink()
    path.parent.rmdir()
    files = {"stl10_binary/train_X.bin": b"-", stl10.IMAGES.path: held, "stl10_binary/class_names.txt": b"-"}
    archive = publish(stl10.ARCHIVE, tarred(files))
    small = [Image.fromarray(image).resize((32, 32), Image.Resampling.BILINEAR) for image in large]
    images = np.stack([np.asarray(image) for image in small])
    return Made(stl10, {"unlabelled": 3}, {}, images, [UNKNOWN] * 3, [archive])


MAKERS: dict[str, Callable[[Publish], Made]] = {
    "fashion-mnist": lambda publish: make_four("FashionMNIST", publish),
    "mnist": lambda publish: make_four("MNIST", publish),
    "kmnist": lambda publish: make_four("KMNIST", publish),
    "emnist": make_emnist,
    "cifar10": make_cifar10,
    "cifar100": make_cifar100,
    "svhn": make_svhn,
    "gtsrb": make_gtsrb,
    "omniglot": make_omniglot,
    "stl10": make_stl10,
}
each = pytest.mark.parametrize("name", MAKERS)


def expected(made: Made, size: int) -> np.ndarray:
    """The images in colour at a size, one by one with Pillow."""
    one = [Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR) for image in made.images]
    return np.stack([np.asarray(image.convert("RGB")) for image in one])


# --- every loader ---------------------------------------------------------------------------------------------


def test_every_entry_is_tested() -> None:
    assert sorted(MAKERS) == sorted(DESK)
    assert all(ENTRIES[name]["size"] == 32 and ENTRIES[name]["channels"] == 3 for name in DESK)
    assert all(ENTRIES[name]["obtain"] and ENTRIES[name]["download"] for name in DESK)


@each
def test_listed(name: str, publish: Publish, tmp_path: Path) -> None:
    """Splits, labels and classes; the manifest has the published digests."""
    made = MAKERS[name](publish)
    index = made.listed(tmp_path)
    check_items(name, index.columns, index.classes)
    assert index.columns["split"].tolist() == [split for split, count in made.splits.items() for _ in range(count)]
    assert index.columns["label"].tolist() == made.labels
    assert index.columns["label"].dtype == np.int64
    assert index.summary["licence"]
    assert len([value for value in index.summary.values() if str(value).startswith("md5 ")]) >= 1
    declared = ENTRIES[name].get("classes", [])
    if isinstance(declared, list):
        assert list(index.classes) == declared
    elif name != "omniglot":
        assert len(index.classes) == declared
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]


@each
def test_pixels_through_the_list(name: str, publish: Publish, tmp_path: Path) -> None:
    """At the desk's size and at others, in any order, twice where asked twice, with columns that were text."""
    made = MAKERS[name](publish)
    index = made.listed(tmp_path)
    save_items(str(tmp_path / "items.csv"), index.columns)
    columns = load_items(str(tmp_path / "items.csv"))
    whole = made.plugin.read(tmp_path, columns, 32, 3)
    assert whole.dtype == np.uint8
    assert np.array_equal(whole, expected(made, 32))
    rows = np.array([len(whole) - 1, 0, 0, 1])
    assert np.array_equal(made.plugin.read(tmp_path, take(columns, rows), 32, 3), whole[rows])
    grey = made.plugin.read(tmp_path, take(columns, rows), 8, 1)
    assert grey.shape == (4, 8, 8, 1)
    assert made.plugin.read(tmp_path, take(columns, np.arange(0)), 32, 3).shape == (0, 32, 32, 3)


@each
def test_one_split_alone(name: str, publish: Publish, tmp_path: Path) -> None:
    """Splits that are not declared are left out, splits that are none are refused."""
    made = MAKERS[name](publish)
    last, count = list(made.splits.items())[-1]
    index = made.plugin.index(tmp_path, {last: count}, **made.parameters)
    assert set(index.columns["split"].tolist()) == {last}
    images = made.plugin.read(tmp_path, index.columns, 32, 3)
    assert np.array_equal(images, expected(made, 32)[-count:])
    with pytest.raises(MimeoError, match="extra"):
        made.plugin.index(tmp_path, {"extra": 1}, **made.parameters)


@each
def test_without_a_folder(name: str, complaint: Complaint) -> None:
    """Nothing is fetched (the network would fail the test), and the job says how to get it, in one line."""
    entry = {**ENTRIES[name], "parameters": {**ENTRIES[name].get("parameters", {})}}
    entry["parameters"].pop("package", None)
    spec = {"plugin": entry.get("plugin", name), **entry}
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MIMEO_DATA", raising=False)
        text = complaint(lambda: list_images.listed(name, spec))
    assert text.startswith(f"{name}: MIMEO_DATA is not set")
    assert "To get it: fetched once" in text


@each
def test_read_fetches_nothing(name: str, publish: Publish, tmp_path: Path) -> None:
    made = MAKERS[name](publish)
    index = made.listed(tmp_path)
    for path in [*made.files, tmp_path / stl10.IMAGES.path]:
        path.unlink(missing_ok=True)
    with pytest.raises(Missing, match="no file"):
        made.plugin.read(tmp_path, index.columns, 32, 3)


@each
@pytest.mark.parametrize("harm", ["cut", "changed", "emptied", "text"])
def test_damaged_file_is_one_line(name: str, harm: str, publish: Publish, tmp_path: Path, complaint: Complaint) -> None:
    """Each file in turn: it differs from what is published, and stays as it is."""
    made = MAKERS[name](publish)
    for path in made.files:
        whole = path.read_bytes()
        middle = len(whole) // 2
        changed = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        harmed = {"cut": whole[: len(whole) * 6 // 10], "changed": changed, "emptied": b"", "text": b"not it"}[harm]
        path.write_bytes(harmed)
        text = complaint(lambda: made.listed(tmp_path))
        assert str(path) in text and "md5" in text
        assert path.read_bytes() == harmed
        path.write_bytes(whole)
    made.listed(tmp_path)


@each
@pytest.mark.parametrize("harm", ["cut", "text"])
def test_damaged_since_listed_is_one_line(
    name: str, harm: str, publish: Publish, tmp_path: Path, complaint: Complaint
) -> None:
    made = MAKERS[name](publish)
    index = made.listed(tmp_path)
    [*paths] = {tmp_path / file for file in index.columns["file"].tolist()}
    for path in paths:
        whole = path.read_bytes()
        path.write_bytes({"cut": whole[: len(whole) * 6 // 10], "text": b"not it"}[harm])
        assert str(path) in complaint(lambda: made.plugin.read(tmp_path, index.columns, 32, 3))
        path.write_bytes(whole)


@each
@pytest.mark.parametrize("harm", ["cut", "text", "empty"])
def test_published_file_of_another_format(
    name: str, harm: str, publish: Publish, tmp_path: Path, complaint: Complaint
) -> None:
    """Even a file with the right digest is parsed with care."""
    made = MAKERS[name](publish)
    for path in made.files:
        whole = path.read_bytes()
        [file] = [file for file in PUBLISHED if tmp_path / file.path == path]
        publish(file, {"cut": whole[: len(whole) * 6 // 10], "text": b"not it", "empty": b""}[harm])

        def both() -> None:
            made.plugin.read(tmp_path, made.listed(tmp_path).columns, 32, 3)

        text = complaint(both)
        assert path.name.split(".")[0] in text or stl10.IMAGES.path in text
        publish(file, whole)


PUBLISHED = [
    *(file for chosen in idx.COLLECTIONS.values() for file in chosen.files),
    *(version.file for version in cifar.VERSIONS.values()),
    *svhn.FILES.values(),
    *(gtsrb.TRAINING, gtsrb.TEST, gtsrb.TRUTH),
    *omniglot.FILES.values(),
    *(stl10.ARCHIVE, stl10.IMAGES),
]


def test_digests_and_names_are_torchvisions() -> None:
    """Those that torchvision has as data; GTSRB's are in its code, and CIFAR's binary versions it does not know."""
    for name in ("MNIST", "FashionMNIST", "KMNIST"):
        theirs, ours = getattr(official, name), idx.COLLECTIONS[name]
        assert [(Path(file.path).name, file.md5) for file in ours.files] == theirs.resources
        mirrors = [tuple(f"{mirror}{file}" for mirror in theirs.mirrors) for file, _ in theirs.resources]
        assert [file.addresses for file in ours.files] == mirrors
        assert name == "MNIST" or list(ours.classes) == theirs.classes
    [archive] = idx.COLLECTIONS["EMNIST"].files
    assert (archive.md5, archive.addresses) == (official.EMNIST.md5, (official.EMNIST.url,))
    assert list(idx.COLLECTIONS["EMNIST"].classes) == official.EMNIST.classes_split_dict["balanced"]
    for split, file in svhn.FILES.items():
        assert official.SVHN.split_list[split] == [file.addresses[0], file.path, file.md5]
    assert {split: file.md5 for split, file in omniglot.FILES.items()} == {
        name.removeprefix("images_"): md5 for name, md5 in official.Omniglot.zips_md5.items()
    }
    assert (stl10.ARCHIVE.md5, stl10.ARCHIVE.addresses[0]) == (official.STL10.tgz_md5, official.STL10.url)
    assert ["unlabeled_X.bin", stl10.IMAGES.md5] in official.STL10.train_list
    source = Path(official.gtsrb.__file__).read_text()
    assert all(
        f'"{file.md5}"' in source and Path(file.path).name in source for file in PUBLISHED if "gtsrb" in file.path
    )
    assert gtsrb.ADDRESS in source


# --- what torchvision makes of the same files -----------------------------------------------------------------


def test_torchvision_reads_the_same(publish: Publish, tmp_path: Path) -> None:
    """The formats made here are the true ones: torchvision's own loaders get the same images and labels."""
    made = MAKERS["svhn"](publish)
    with pytest.MonkeyPatch.context() as patch:
        theirs = {split: [*official.SVHN.split_list[split][:2], svhn.FILES[split].md5] for split in made.splits}
        patch.setattr(official.SVHN, "split_list", theirs)
        for split, rows in (("train", slice(4)), ("test", slice(4, 6))):
            both = official.SVHN(tmp_path, split)
            assert np.array_equal(both.data.transpose(0, 2, 3, 1), made.images[rows])
            assert both.labels.tolist() == made.labels[rows]
    made = MAKERS["omniglot"](publish)
    for path in made.files:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(path.parent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(official.Omniglot, "_check_integrity", lambda self: True)
        drawn = sorted(np.asarray(image.resize((32, 32), 2)).tobytes() for image, _ in official.Omniglot(tmp_path))
    assert drawn == sorted(image.tobytes() for image in made.images[:3])
    made = MAKERS["gtsrb"](publish)
    for path in made.files:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(path.parent)
    for split, rows in (("train", slice(3)), ("test", slice(3, 5))):
        both = list(official.GTSRB(tmp_path, split))
        pixels_there = sorted(np.asarray(image.resize((32, 32), 2)).tobytes() for image, _ in both)
        assert pixels_there == sorted(image.tobytes() for image in made.images[rows])
    assert sorted(label for _, label in both) == sorted(made.labels[rows])


# --- each one's own -------------------------------------------------------------------------------------------


def test_superclasses_and_tracks_and_alphabets(publish: Publish, tmp_path: Path) -> None:
    """Hierarchies come as columns."""
    assert MAKERS["cifar100"](publish).listed(tmp_path).columns["coarse"].tolist() == [
        *("kind19", "kind00", "kind04"),
        *("kind00", "kind07"),
    ]
    signs = MAKERS["gtsrb"](publish).listed(tmp_path).columns
    assert signs["track"].tolist() == ["00000", "00000", "00001", "", ""]
    assert signs["name"].tolist()[2:4] == ["train/00042/00001_00029.ppm", "test/00000.ppm"]
    letters = MAKERS["omniglot"](publish).listed(tmp_path)
    assert letters.columns["alphabet"].tolist() == ["Greek", "Greek", "Latin", "Avesta", "Greek"]
    assert letters.classes == ("Avesta/character01", "Greek/character01", "Greek/character02", "Latin/character01")


def test_stl10_unpacked_by_another(publish: Publish, tmp_path: Path, complaint: Complaint) -> None:
    """Unpacked images are taken as they lie, without the archive, when their digest is right."""
    made = MAKERS["stl10"](publish)
    path = publish(stl10.IMAGES, made.images[:1].repeat(9, 1).tobytes())
    made.files[0].unlink()
    assert len(made.listed(tmp_path).columns["name"]) == 1
    path.write_bytes(path.read_bytes()[:-1])
    assert str(path) in complaint(lambda: made.listed(tmp_path))


def test_stl10_cut_off_while_unpacked(publish: Publish, tmp_path: Path, complaint: Complaint) -> None:
    """Nothing is left that a later run could take for the images."""
    made = MAKERS["stl10"](publish)
    publish(stl10.ARCHIVE, tarred({stl10.IMAGES.path: b"other images"}))
    assert "md5" in complaint(lambda: made.listed(tmp_path))
    publish(stl10.ARCHIVE, tarred({"stl10_binary/readme.txt": b"-"}))
    assert "has no" in complaint(lambda: made.listed(tmp_path))
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path != made.files[0]]


def test_test_image_without_a_class(publish: Publish, tmp_path: Path, complaint: Complaint) -> None:
    made = MAKERS["gtsrb"](publish)
    publish(gtsrb.TRUTH, zipped({gtsrb.TABLE: b"Filename;ClassId\n00000.ppm;17\n"}))
    text = complaint(lambda: made.listed(tmp_path))
    assert str(made.files[1]) in text and "00001.ppm" in text
    publish(gtsrb.TRUTH, zipped({gtsrb.TABLE: b"Name;Kind\n00000.ppm;17\n"}))
    assert gtsrb.TABLE in complaint(lambda: made.listed(tmp_path))


def test_label_that_is_no_class(publish: Publish, tmp_path: Path, complaint: Complaint) -> None:
    made = MAKERS["cifar10"](publish)
    with tarfile.open(made.files[0]) as archive:
        files = {entry.name: archive.extractfile(entry).read() for entry in archive}  # type: ignore[union-attr]
    files["cifar-10-batches-bin/test_batch.bin"] = bytes([10]) * (2 * 3073)
    publish(cifar.VERSIONS["CIFAR10"].file, tarred(files))
    assert str(made.files[0]) in complaint(lambda: made.listed(tmp_path))


@pytest.mark.parametrize("plugin", [idx, cifar])
def test_unknown_name(plugin: Any, tmp_path: Path, complaint: Complaint) -> None:
    assert "parameter name: 'ImageNet'" in complaint(lambda: plugin.index(tmp_path, {"train": 1}, name="ImageNet"))


@pytest.mark.parametrize("shape", [(28, 28), (32, 32), (96, 96), (96, 96, 3), (20, 41, 3)])
@pytest.mark.parametrize("size", [8, 32, 40])
def test_squares_are_pillows(shape: tuple[int, ...], size: int) -> None:
    """All at once to the very pixels of one by one."""
    images = pixels(5, *shape)
    one = [Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR) for image in images]
    assert np.array_equal(squares(images, size, 3), np.stack([np.asarray(image.convert("RGB")) for image in one]))
    grey = [Image.fromarray(image).convert("L").resize((size, size), Image.Resampling.BILINEAR) for image in images]
    assert np.array_equal(squares(images, size, 1)[..., 0], np.stack([np.asarray(image) for image in grey]))


# --- sources in order -----------------------------------------------------------------------------------------


@pytest.fixture
def package(publish: Publish, tmp_path: Path) -> tuple[Made, Path]:
    """A set whose files lie in a package's folder, compressed anew, and not in the folder of all data sets."""
    made, folder = MAKERS["mnist"](publish), tmp_path / "package"
    folder.mkdir()
    for file in idx.COLLECTIONS["MNIST"].files:
        held = gzip.decompress((tmp_path / file.path).read_bytes())
        (tmp_path / file.path).unlink()
        (folder / Path(file.path).name).write_bytes(gzip.compress(held, 1, mtime=7))
        object.__setattr__(file, "content", hashlib.sha256(held).hexdigest())
    return made, folder


@pytest.fixture(autouse=True)
def contents_as_before() -> Iterator[None]:
    before = [(file, file.content) for file in PUBLISHED]
    yield
    for file, content in before:
        object.__setattr__(file, "content", content)


@pytest.mark.parametrize("folder_set", [True, False])
def test_a_package_of_the_system(package: tuple[Made, Path], folder_set: bool, tmp_path: Path) -> None:
    """Taken where it is, with or without a folder of data sets, and the manifest does not show it."""
    made, folder = package
    source = tmp_path if folder_set else None
    index = idx.index(source, made.splits, name="MNIST", package=str(folder))
    assert index.summary == facts(idx.COLLECTIONS["MNIST"].files, idx.COLLECTIONS["MNIST"].licence)
    assert np.array_equal(idx.read(source, index.columns, 32, 3), expected(made, 32))
    assert not [path for path in (tmp_path / "MNIST").rglob("*") if path.is_file()]


def test_other_content_in_a_package(package: tuple[Made, Path], complaint: Complaint) -> None:
    made, folder = package
    path = folder / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(b"other labels"))
    listed = lambda: idx.index(None, made.splits, name="MNIST", package=str(folder))  # noqa: E731
    assert str(path) in complaint(listed)
    path.write_bytes(b"not compressed")
    assert str(path) in complaint(listed)
    path.unlink()
    assert "MIMEO_DATA is not set" in complaint(listed)


def test_the_folder_comes_before_the_package(package: tuple[Made, Path], publish: Publish, tmp_path: Path) -> None:
    made, folder = package
    MAKERS["mnist"](publish)
    for path in folder.iterdir():
        path.write_bytes(b"not looked at")
    assert len(idx.index(tmp_path, made.splits, name="MNIST", package=str(folder)).columns["name"]) == 7


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed")
def test_fashion_mnist_of_debian() -> None:
    """The true data: every image, the classes in equal parts, and the means that everybody finds."""
    entry = ENTRIES["fashion-mnist"]
    index = list_images.listed("fashion-mnist", entry)
    check_items("fashion-mnist", index.columns, index.classes)
    assert np.bincount(index.columns["label"]).tolist() == [7000] * 10
    assert (index.columns["split"] == "train").sum() == 60000
    some = idx.read(None, take(index.columns, np.arange(60000)), 28, 1)
    assert some.mean() / 255 == pytest.approx(0.2860, abs=1e-4)
    assert some.std() / 255 == pytest.approx(0.3530, abs=1e-4)


# --- fetched --------------------------------------------------------------------------------------------------


class Server(http.server.BaseHTTPRequestHandler):
    """Gives what it is told to, by path; ``/cut`` promises more than it gives."""

    content = b""

    def do_GET(self) -> None:
        """Answers."""
        if self.path not in ("/whole", "/cut", "/other"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        held = {"/whole": self.content, "/cut": self.content[:-100], "/other": bytes(len(self.content))}
        self.wfile.write(held[self.path])

    def log_message(self, *arguments: Any) -> None:
        """Says nothing."""


plain_urlopen = urllib.request.urlopen


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A web server on this machine, and the network allowed."""
    monkeypatch.setattr(urllib.request, "urlopen", plain_urlopen)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    Server.content = pixels(3_000_000).tobytes()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def offered(*addresses: str) -> Published:
    return Published("toy/raw/file.bin", hashlib.md5(Server.content).hexdigest(), addresses)


def test_fetched_once(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the first address that gives the right bytes; later it is there."""
    file = offered(f"{address}/gone", f"{address}/cut", f"{address}/other", f"{address}/whole")
    path = obtain(tmp_path / "new", file)
    assert path == tmp_path / "new/toy/raw/file.bin"
    assert path.read_bytes() == Server.content
    assert list(path.parent.iterdir()) == [path]
    monkeypatch.setattr(urllib.request, "urlopen", None)
    assert obtain(tmp_path / "new", file) == find(tmp_path / "new", file.path) == path


@pytest.mark.parametrize("what", ["gone", "cut", "other"])
def test_fetch_that_fails(address: str, what: str, tmp_path: Path, complaint: Complaint) -> None:
    """One line with the address; nothing is left, and the next run fetches."""
    text = complaint(lambda: obtain(tmp_path, offered(f"{address}/{what}")))
    assert f"{address}/{what}" in text and "file.bin" in text
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert obtain(tmp_path, offered(f"{address}/whole")).read_bytes() == Server.content


def test_no_server(address: str, tmp_path: Path, complaint: Complaint) -> None:
    with pytest.raises(Missing, match="cannot be fetched"):
        obtain(tmp_path, offered("http://127.0.0.1:9/x", "no address"))
    assert "MIMEO_DATA is not set" in complaint(lambda: obtain(None, offered(f"{address}/whole")))


def test_torchvision_trusts_what_is_unpacked(tmp_path: Path) -> None:
    """Why fetching is our own: files that were cut off while they were unpacked count as there."""
    (tmp_path / "MNIST/raw").mkdir(parents=True)
    for name, _ in official.MNIST.resources:
        (tmp_path / "MNIST/raw" / name.removesuffix(".gz")).write_bytes(b"cut off")
    theirs = official.MNIST.__new__(official.MNIST)
    theirs.root = tmp_path
    assert theirs._check_exists()


def test_folder_that_cannot_be_written(address: str, tmp_path: Path, complaint: Complaint) -> None:
    (tmp_path / "toy").write_text("a file in the way")
    assert str(tmp_path / "toy") in complaint(lambda: obtain(tmp_path, offered(f"{address}/whole")))


def test_killed_while_fetching(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed job leaves has another name."""
    opened = plain_urlopen(f"{address}/whole")
    answers = [opened.read(1000)]

    class Stopped(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if answers:
                return answers.pop()
            assert [path.name.startswith(".") for path in (tmp_path / "toy/raw").iterdir()] == [True]
            raise KeyboardInterrupt

    monkeypatch.setattr(urllib.request, "urlopen", lambda *arguments, **options: Stopped())
    with pytest.raises(KeyboardInterrupt):
        obtain(tmp_path, offered(f"{address}/whole"))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


# --- through the stages ---------------------------------------------------------------------------------------


def test_stages(publish: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complaint: Complaint) -> None:
    """Listed, then a split decoded; counts other than declared are refused."""
    made = MAKERS["cifar10"](publish)
    monkeypatch.setenv("MIMEO_DATA", str(tmp_path))
    spec = {**ENTRIES["cifar10"], "splits": made.splits}
    items, manifest = str(tmp_path / "items.csv"), str(tmp_path / "manifest.json")
    list_images.main("cifar10", spec, [], items, manifest)
    said = json.loads(Path(manifest).read_text())
    assert said["splits"] == made.splits
    assert said["summary"]["cifar-10-binary.tar.gz"] == f"md5 {cifar.VERSIONS['CIFAR10'].file.md5}"
    images, labels = str(tmp_path / "images.npy"), str(tmp_path / "labels.npy")
    decode_split.main("cifar10", "train", spec, items, manifest, images, labels)
    assert np.array_equal(np.load(images, allow_pickle=False), made.images[:10])
    assert np.load(labels, allow_pickle=False).tolist() == made.labels[:10]
    text = complaint(lambda: list_images.main("cifar10", ENTRIES["cifar10"], [], items, manifest))
    assert "50000" in text
