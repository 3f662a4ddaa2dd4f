"""The papers' data sets in their owners' layouts: listed, split as the official code does, unpacked and downloaded."""

import hashlib
import io
import re
import tarfile
import threading
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import ImageFolder
from torchvision.datasets.folder import IMG_EXTENSIONS

from mimeo import archives
from mimeo.archives import Archive, download, obtained, unpack
from mimeo.datasets import UNKNOWN, Index, Missing, caltech256, celeba, cub200, diabetic5, imagenet, indoor67
from mimeo.items import check_items
from mimeo.pictures import TORCHVISIONS

Complaint = Callable[[Callable[[], object]], str]
Split = dict[str, set[str]]
LOADERS = {module.__name__.rsplit(".", 1)[1]: module for module in (caltech256, cub200, indoor67, diabetic5, imagenet)}


def image(path: Path, number: int = 0) -> None:
    """A small picture of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 9), (number % 256, 99, 200)).save(path, "JPEG")


def text(path: Path, content: str = "no image") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


# --- the data sets in small, and what the official code makes of them -------------------------------------------


def small_caltech256(root: Path) -> dict[str, int]:
    """Four classes and the clutter, with the strays that the archive has."""
    counts = {"002.american-flag": 27, "056.dog": 31, "198.spider": 26, "256.toad": 25, "257.clutter": 9}
    for kind, count in counts.items():
        for number in range(1, count + 1):
            image(root / f"256_ObjectCategories/{kind}/{kind[:3]}_{number:04d}.jpg", number)
    text(root / "256_ObjectCategories/198.spider/RENAME2")
    (root / "256_ObjectCategories/056.dog/greg/vision309").mkdir(parents=True)
    return {"train": sum(counts.values()) - 9 - 100, "test": 100}


def small_cub200(root: Path) -> dict[str, int]:
    """Three classes in lists whose numbers are in no order of the names."""
    top = root / "CUB_200_2011"
    kinds = ["001.Black_footed_Albatross", "002.Laysan_Albatross", "003.Sooty_Albatross"]
    names = [f"{kinds[n % 3]}/{kinds[n % 3][4:]}_{(7 * n) % 12:04d}_{n}.jpg" for n in range(12)]
    for number, name in enumerate(names):
        image(top / "images" / name, number)
    image(top / "images" / kinds[0] / "unlisted.jpg")
    text(top / "images.txt", "".join(f"{n + 1} {name}\n" for n, name in enumerate(names)))
    text(top / "classes.txt", "".join(f"{n + 1} {kind}\n" for n, kind in enumerate(kinds)))
    text(top / "image_class_labels.txt", "".join(f"{n + 1} {n % 3 + 1}\n" for n in range(12)))
    text(top / "train_test_split.txt", "".join(f"{n + 1} {int(n % 4 > 1)}\n" for n in range(12)))
    text(root / "attributes.txt")
    return {"train": 6, "test": 6}


def small_indoor67(root: Path) -> dict[str, int]:
    """Two classes; what is in neither list of the owners is trained on."""
    for kind in ("kitchen", "airport_inside"):
        for number in range(5):
            image(root / f"Images/{kind}/{kind}_{number}.jpg", number)
    image(root / "Images/kitchen/older.gif")
    text(root / "Images/kitchen/Thumbs.db")
    text(root / "TestImages.txt", "kitchen/kitchen_3.jpg\nairport_inside/airport_inside_0.jpg\nkitchen/kitchen_0.jpg")
    text(root / "TrainImages.txt", "kitchen/kitchen_1.jpg\n")
    return {"train": 7, "test": 3}


def levels() -> dict[str, str]:
    """More than 200 images of two levels, fewer of none."""
    return {f"{n}_{side}": str((n * 3 + (side == "left")) % 2) for n in range(10, 240) for side in ("left", "right")}


def small_diabetic5(root: Path) -> dict[str, int]:
    """As Kaggle hands it out."""
    for number, name in enumerate(levels()):
        image(root / f"train/{name}.jpeg", number)
    text(root / "trainLabels.csv", "image,level\n" + "".join(f"{name},{level}\n" for name, level in levels().items()))
    return {"train": 60, "test": 400}


def small_imagenet(root: Path) -> dict[str, int]:
    """Three classes of unlike sizes; names that sort otherwise than their numbers."""
    for kind, count in {"n02085620": 5, "n01440764": 11, "n15075141": 7}.items():
        for number in range(8, 8 + count):
            image(root / f"train/{kind}/{kind}_{number}.JPEG", number)
    return {"train": 19, "rest": 4}


SMALL = {
    "caltech256": small_caltech256,
    "cub200": small_cub200,
    "indoor67": small_indoor67,
    "diabetic5": small_diabetic5,
    "imagenet": small_imagenet,
}


def shuffled(samples: list[tuple[str, int]], held: int) -> Split:
    """What Caltech256 and Diabetic5 of the official code do."""
    rows: dict[int, list[int]] = defaultdict(list)
    for row, (_, label) in enumerate(samples):
        rows[label].append(row)
    state = np.random.get_state()
    np.random.seed(123)
    for of_class in rows.values():
        np.random.shuffle(of_class)
    np.random.set_state(state)
    test = {samples[row][0] for of_class in rows.values() for row in of_class[:held]}
    return {"test": test, "train": {path for path, _ in samples} - test}


def official(name: str, root: Path, tmp_path: Path) -> Split:
    """The official code's partition by path, its samples from torchvision."""
    if name == "caltech256":
        folder = ImageFolder(str(root / "256_ObjectCategories"))
        clutter = folder.class_to_idx["257.clutter"]
        return shuffled([sample for sample in folder.samples if sample[1] != clutter], 25)
    if name == "diabetic5":
        by_level = tmp_path / "by-level"
        for image_name, level in levels().items():
            (by_level / level).mkdir(parents=True, exist_ok=True)
            (by_level / level / f"{image_name}.jpeg").symlink_to(root / f"train/{image_name}.jpeg")
        found = shuffled(ImageFolder(str(by_level)).samples, 200)
        return {split: {str(root / "train" / Path(path).name) for path in paths} for split, paths in found.items()}
    if name == "imagenet":
        paths = [path for path, _ in ImageFolder(str(root / "train")).samples]
        np.random.seed(123)
        rest = np.random.choice(np.arange(len(paths)), replace=False, size=int(0.2 * len(paths))).tolist()
        return {
            "rest": {paths[row] for row in rest},
            "train": {paths[row] for row in set(range(len(paths))) - set(rest)},
        }
    if name == "indoor67":
        paths = [path for path, _ in ImageFolder(str(root / "Images")).samples]
        tested = set((root / "TestImages.txt").read_text().split("\n"))
        test = {path for path in paths if path.removeprefix(f"{root}/Images/") in tested}
        return {"test": test, "train": set(paths) - test}
    top = root / "CUB_200_2011"
    names = dict(line.split() for line in (top / "images.txt").read_text().splitlines())
    flags = dict(line.split() for line in (top / "train_test_split.txt").read_text().splitlines())
    return {
        split: {f"{top}/images/{name}" for image, name in names.items() if flags[image] == flag}
        for split, flag in (("train", "1"), ("test", "0"))
    }


def parts(index: Index, root: Path) -> Split:
    """The partition that a loader made, by path."""
    found = defaultdict(set)
    for name, split in zip(index.columns["name"].tolist(), index.columns["split"].tolist(), strict=True):
        found[split].add(f"{root}/{name}")
    return dict(found)


@pytest.fixture(params=list(SMALL))
def small(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, ModuleType, Path, dict[str, int]]:
    """A data set in small: name, loader, its folder and the sizes of its splits."""
    name = request.param
    root = tmp_path / "data" / name
    return name, LOADERS[name], root, SMALL[name](root)


def test_the_split_is_the_official_codes(small: tuple[str, ModuleType, Path, dict[str, int]], tmp_path: Path) -> None:
    """Image for image; labels are those of ImageFolder, names sorted and each once."""
    name, module, root, splits = small
    index = module.index(root.parent, splits)
    check_items(name, index.columns, index.classes)
    found = parts(index, root)
    assert {split: len(images) for split, images in found.items()} == splits
    assert found == official(name, root, tmp_path)
    kinds = [index.classes[label] for label in index.columns["label"]]
    if name == "diabetic5":
        assert kinds == [levels()[Path(path).stem] for path in index.columns["name"].tolist()]
    else:
        assert kinds == [Path(path).parent.name for path in index.columns["name"].tolist()]
    assert index.classes == tuple(sorted(index.classes))
    assert index.summary["images"] == len(kinds)


def test_images_are_decoded(small: tuple[str, ModuleType, Path, dict[str, int]]) -> None:
    """What is listed is found again, from its columns alone."""
    _, module, root, splits = small
    items = {column: values[:3] for column, values in module.index(root.parent, splits).columns.items()}
    assert module.read(root.parent, items, 8, 3).shape == (3, 8, 8, 3)


def test_listing_leaves_the_global_generator_alone(small: tuple[str, ModuleType, Path, dict[str, int]]) -> None:
    _, module, root, splits = small
    np.random.seed(5)
    expected = np.random.RandomState(5).random()
    module.index(root.parent, splits)
    assert np.random.random() == expected


def test_no_variable_and_no_folder(small: tuple[str, ModuleType, Path, dict[str, int]], tmp_path: Path) -> None:
    name, module, _, splits = small
    with pytest.raises(Missing, match=f"MIMEO_DATA is not set.*'{name}'"):
        module.index(None, splits)
    with pytest.raises(Missing, match="nowhere"):
        module.index(tmp_path / "nowhere", splits)


def test_another_folder(small: tuple[str, ModuleType, Path, dict[str, int]], complaint: Complaint) -> None:
    """The parameter says where it lies, below the folder of all."""
    name, module, root, splits = small
    root.rename(root.with_name("elsewhere"))
    index = module.index(root.parent, splits, folder="elsewhere")
    assert set(index.columns["place"].tolist()) == {"elsewhere"}
    assert "parameter folder" in complaint(lambda: module.index(root.parent, splits, folder=f"../{name}"))


@pytest.mark.parametrize("name", ["caltech256", "diabetic5", "imagenet"])
def test_wrong_counts(name: str, tmp_path: Path, complaint: Complaint) -> None:
    """A split drawn from all images is refused where one lacks or is too many, with the difference."""
    root = tmp_path / name
    splits = SMALL[name](root)
    more = {split: count + 1 for split, count in splits.items()}
    assert "2 too few" in complaint(lambda: LOADERS[name].index(tmp_path, more))
    fewer = {split: count - 1 for split, count in splits.items()}
    assert "2 too many" in complaint(lambda: LOADERS[name].index(tmp_path, fewer))


def test_caltech256_images_are_numbered(tmp_path: Path, complaint: Complaint) -> None:
    """One lacking here and one too many there leave the count as it is, and would change the split."""
    splits = small_caltech256(tmp_path / "caltech256")
    dogs = tmp_path / "caltech256/256_ObjectCategories/056.dog"
    (dogs / "056_0004.jpg").rename(dogs / "056_0099.jpg")
    message = complaint(lambda: caltech256.index(tmp_path, splits))
    assert "056.dog/056_0004.jpg" in message and "056.dog/056_0005.jpg" in message


def test_imagenet_folders_are_identifiers(tmp_path: Path, complaint: Complaint) -> None:
    splits = small_imagenet(tmp_path / "imagenet")
    (tmp_path / "imagenet/train/n01440764").rename(tmp_path / "imagenet/train/tench")
    assert "'tench'" in complaint(lambda: imagenet.index(tmp_path, splits))


def test_diabetic5_sorted_by_level(tmp_path: Path) -> None:
    """Both layouts give the same split."""
    splits = small_diabetic5(tmp_path / "diabetic5")
    plain = parts(diabetic5.index(tmp_path, splits), Path())
    for name, level in levels().items():
        image(tmp_path / f"sorted/training_imgs/{level}/{name}.jpeg")
    by_level = parts(diabetic5.index(tmp_path, splits, folder="sorted"), Path())
    for split in splits:
        assert {Path(path).name for path in plain[split]} == {Path(path).name for path in by_level[split]}


def test_diabetic5_labels(tmp_path: Path, complaint: Complaint) -> None:
    """Each image with a label and each label with an image."""
    root = tmp_path / "diabetic5"
    splits = small_diabetic5(root)
    labels = (root / "trainLabels.csv").read_text()

    def says(content: str) -> str:
        text(root / "trainLabels.csv", content)
        return complaint(lambda: diabetic5.index(tmp_path, splits))

    assert "no label" in says(labels.replace("10_left,1\n", "")) and "'10_left'" in says(
        labels.replace("10_left,1\n", "")
    )
    message = says(labels + "999_left,0\n")
    assert "not there" in message and "'999_left'" in message
    assert "level '7'" in says(labels.replace("10_left,1", "10_left,7"))
    assert "twice" in says(labels + "10_left,1\n")
    assert "trainLabels.csv: not a list" in says("name,grade\n10_left,1\n")
    (root / "trainLabels.csv").unlink()
    with pytest.raises(Missing, match=r"trainLabels\.csv"):
        diabetic5.index(tmp_path, splits)


def test_cub200_lists(tmp_path: Path, complaint: Complaint) -> None:
    """Each of the four is needed, and they agree."""
    splits = small_cub200(tmp_path / "cub200")
    top = tmp_path / "cub200/CUB_200_2011"

    def says(file: str, change: Callable[[str], str]) -> str:
        whole = (top / file).read_text()
        text(top / file, change(whole))
        message = complaint(lambda: cub200.index(tmp_path, splits))
        text(top / file, whole)
        return message

    message = says("train_test_split.txt", lambda whole: whole.replace("5 0\n", ""))
    assert "train_test_split.txt" in message and "image 5" in message
    assert "'2'" in says("train_test_split.txt", lambda whole: whole.replace("5 0\n", "5 2\n"))
    message = says("image_class_labels.txt", lambda whole: whole.replace("6 3\n", "6 4\n"))
    assert "image_class_labels.txt" in message and "'4'" in message
    assert "line 13 has 3 words" in says("images.txt", lambda whole: whole + "13 a b\n")
    assert "twice" in says("images.txt", lambda whole: whole + "1 again.jpg\n")
    for file in ("images.txt", "classes.txt", "image_class_labels.txt", "train_test_split.txt"):
        (top / file).rename(top / "aside")
        with pytest.raises(Missing, match=file):
            cub200.index(tmp_path, splits)
        (top / "aside").rename(top / file)
    gone = next((top / "images/001.Black_footed_Albatross").glob("Black*.jpg"))
    gone.unlink()
    assert gone.name in complaint(lambda: cub200.index(tmp_path, splits))


def test_indoor67_list(tmp_path: Path, complaint: Complaint) -> None:
    root = tmp_path / "indoor67"
    splits = small_indoor67(root)
    (root / "Images/kitchen/kitchen_3.jpg").unlink()
    assert "'kitchen/kitchen_3.jpg'" in complaint(lambda: indoor67.index(tmp_path, splits))
    (root / "TestImages.txt").unlink()
    with pytest.raises(Missing, match=r"TestImages\.txt"):
        indoor67.index(tmp_path, splits)


def small_celeba(root: Path) -> None:
    for number in range(1, 8):
        image(root / f"img_align_celeba/{number:06d}.jpg", number)
    text(root / "list_eval_partition.txt", "".join(f"{n:06d}.jpg {n % 3}\n" for n in range(1, 8)))


def test_celeba(tmp_path: Path, complaint: Complaint) -> None:
    """One pool without classes; its owners' parts, and persons where they are asked for, are columns."""
    root = tmp_path / "celeba"
    small_celeba(root)
    index = celeba.index(tmp_path, {"pool": 7})
    check_items("celeba", index.columns, index.classes)
    assert index.columns["name"].tolist() == [f"img_align_celeba/{n:06d}.jpg" for n in range(1, 8)]
    assert set(index.columns["split"].tolist()) == {"pool"}
    assert set(index.columns["label"].tolist()) == {UNKNOWN}
    assert index.columns["part"].tolist() == [1, 2, 0, 1, 2, 0, 1]
    assert "person" not in index.columns
    with pytest.raises(Missing, match=r"identity_CelebA\.txt"):
        celeba.index(tmp_path, {"pool": 7}, persons=True)
    text(root / "identity_CelebA.txt", "".join(f"{n:06d}.jpg {n * 11}\n" for n in range(1, 7)))
    assert "'000007.jpg'" in complaint(lambda: celeba.index(tmp_path, {"pool": 7}, persons=True))
    text(root / "identity_CelebA.txt", "".join(f"{n:06d}.jpg {n * 11}\n" for n in range(1, 8)))
    assert celeba.index(tmp_path, {"pool": 7}, persons=True).columns["person"].tolist()[2] == 33
    assert celeba.read(tmp_path, index.columns, 8, 3).shape == (7, 8, 8, 3)
    (root / "img_align_celeba/000002.jpg").unlink()
    assert "'000002.jpg'" in complaint(lambda: celeba.index(tmp_path, {"pool": 7}))
    text(root / "list_eval_partition.txt", "000001.jpg first\n")
    assert "list_eval_partition.txt: not a list" in complaint(lambda: celeba.index(tmp_path, {"pool": 7}))
    (root / "list_eval_partition.txt").unlink()
    with pytest.raises(Missing, match=r"list_eval_partition\.txt"):
        celeba.index(tmp_path, {"pool": 7})


def test_celeba_traits(tmp_path: Path, complaint: Complaint) -> None:
    """As a task each combination of traits is a class, and each part a split."""
    root, file = tmp_path / "celeba", tmp_path / "celeba/list_attr_celeba.txt"
    small_celeba(root)
    splits, traits = {"train": 3, "test": 2, "pool": 2}, ["Smiling", "Young"]
    with pytest.raises(Missing, match=r"list_attr_celeba\.txt"):
        celeba.index(tmp_path, splits, traits=traits)
    lines = [f"{n:06d}.jpg {1 if n % 2 else -1:2d} -1 {1 if n > 4 else -1:2d}\n" for n in range(1, 8)]
    text(file, "7\nYoung Male Smiling \n" + "".join(lines))
    index = celeba.index(tmp_path, splits, traits=traits)
    check_items("celeba", index.columns, index.classes)
    assert index.classes == (
        "not Smiling, not Young", "Smiling, not Young", "not Smiling, Young", "Smiling, Young",
    )  # fmt: skip
    assert index.columns["label"].tolist() == [2, 0, 2, 0, 3, 1, 3]
    assert index.columns["split"].tolist() == ["train", "test", "pool", "train", "test", "pool", "train"]
    assert "no trait 'Yung'" in complaint(lambda: celeba.index(tmp_path, splits, traits=["Yung"]))
    for wrong in (lines[0].replace("-1", " 0"), "000001.jpg 1 1\n"):
        text(file, "7\nYoung Male Smiling \n" + wrong)
        assert "list_attr_celeba.txt" in complaint(lambda: celeba.index(tmp_path, splits, traits=["Male"]))
    text(file, "7\nYoung Male Smiling \n" + "".join(lines[1:]))
    assert "'000001.jpg'" in complaint(lambda: celeba.index(tmp_path, splits, traits=traits))
    text(root / "list_eval_partition.txt", "".join(f"{n:06d}.jpg {n}\n" for n in range(1, 8)))
    assert "part 3 is none of" in complaint(lambda: celeba.index(tmp_path, splits, traits=traits))


def test_what_torchvision_lists() -> None:
    """The papers' code lists by ImageFolder, which knows other suffixes than the folders of one's own."""
    assert set(IMG_EXTENSIONS) == TORCHVISIONS


# --- archives ---------------------------------------------------------------------------------------------------


def packed(archive: Path, folder: Path, names: list[str]) -> Path:
    """A tar or zip of what lies in a folder, as its suffix says."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as out:
            for name in names:
                for path in [folder / name, *sorted((folder / name).rglob("*"))]:
                    out.write(path, path.relative_to(folder))
    else:
        with tarfile.open(archive, "w:gz" if archive.suffix in (".tgz", ".gz") else "w") as tar:
            for name in names:
                tar.add(folder / name, name)
    return archive


def tar_of(path: Path, *members: tarfile.TarInfo | tuple[str, bytes]) -> Path:
    """A tar of members that no ordinary program would pack."""
    with tarfile.open(path, "w") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
    return path


def link(name: str, to: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info


PACKED = {
    "caltech256": [("256_ObjectCategories.tar", ["256_ObjectCategories"])],
    "cub200": [("CUB_200_2011.tgz", ["attributes.txt", "CUB_200_2011"])],
    "indoor67": [("indoorCVPR_09.tar", ["Images"])],
    "diabetic5": [("train.zip", ["train"]), ("trainLabels.csv.zip", ["trainLabels.csv"])],
}
LISTS = ("TestImages.txt", "list_eval_partition.txt")


def pack(name: str, root: Path, there: Path) -> None:
    """A data set's folder as its owners' archives in another folder, with the lists that come apart."""
    if name == "imagenet":
        inner = []
        for kind in sorted((root / "train").iterdir()):
            packed(there / f"{kind.name}.tar", kind, sorted(path.name for path in kind.iterdir()))
            inner.append(f"{kind.name}.tar")
        packed(there / "ILSVRC2012_img_train.tar", there, inner)
        for file in inner:
            (there / file).unlink()
    for archive, names in PACKED.get(name, []):
        packed(there / archive, root, names)
    for file in LISTS:
        if (root / file).exists():
            text(there / file, (root / file).read_text())


def test_from_archives(small: tuple[str, ModuleType, Path, dict[str, int]], tmp_path: Path) -> None:
    """The same list as from what is unpacked; then no archive is needed, and nothing else is left."""
    name, module, root, splits = small
    there = tmp_path / "packed" / name
    pack(name, root, there)
    before = {path.name for path in there.iterdir()}
    plain, index = module.index(root.parent, splits), module.index(there.parent, splits)
    assert parts(index, root) == parts(plain, root)
    assert index.summary["images"] == plain.summary["images"]
    new = {path.name for path in there.iterdir()} - before
    assert new and not [file for file in new if file.startswith(".")]
    for file in before - set(LISTS):
        (there / file).unlink()
    assert module.index(there.parent, splits).summary == index.summary


def test_celeba_from_its_archive(tmp_path: Path) -> None:
    small_celeba(tmp_path / "made")
    packed(tmp_path / "celeba/img_align_celeba.zip", tmp_path / "made", ["img_align_celeba"])
    text(tmp_path / "celeba/list_eval_partition.txt", (tmp_path / "made/list_eval_partition.txt").read_text())
    assert celeba.index(tmp_path, {"pool": 7}).summary["images"] == 7


def test_reading_unpacks_nothing(small: tuple[str, ModuleType, Path, dict[str, int]], complaint: Complaint) -> None:
    """Decoding is the work of many jobs: an image that is gone is a complaint there."""
    name, module, root, splits = small
    items = module.index(root.parent, splits).columns
    pack(name, root, root.parent / "packed")
    root.rename(root.with_name("aside"))
    (root.parent / "packed").rename(root)
    before = sorted(root.iterdir())
    assert str(root) in complaint(lambda: module.read(root.parent, items, 8, 3))
    assert sorted(root.iterdir()) == before


def harm(path: Path, how: str) -> None:
    whole = path.read_bytes()
    if how == "cut":
        path.write_bytes(whole[: len(whole) * 6 // 10])
    elif how == "text":
        path.write_bytes(b"<html>not found</html>" * 100)
    elif how == "empty":
        path.write_bytes(b"")
    else:
        at = len(whole) // 2
        path.write_bytes(whole[:at] + bytes(255 - byte for byte in whole[at : at + 700]) + whole[at + 700 :])


@pytest.mark.parametrize("suffix", ["tar", "tgz", "zip"])
@pytest.mark.parametrize("how", ["cut", "text", "empty", "flipped"])
def test_damaged_archive(suffix: str, how: str, tmp_path: Path, complaint: Complaint) -> None:
    """One line with its name, and nothing is left behind. A tar has no checksums: its images may be what is damaged."""
    for number in range(20):
        text(tmp_path / f"made/top/{number:02d}.txt", f"{number} " + hashlib.sha256(bytes([number])).hexdigest() * 9)
    archive = packed(tmp_path / f"there/a.{suffix}", tmp_path / "made", ["top"])
    harm(archive, how)
    message = complaint(lambda: unpack(archive, "top", tmp_path / "there/top"))
    assert str(archive) in message
    if how == "flipped":
        assert re.search(r"at '[^']*top", message), message
    assert [path.name for path in (tmp_path / "there").iterdir()] == [archive.name]


OUTSIDE = [
    ("../evil.txt", b"x"),
    ("top/../../evil.txt", b"x"),
    ("/evil.txt", b"x"),
    ("..\\evil.txt", b"x"),
    ("C:/evil.txt", b"x"),
    link("top/a", "../../evil"),
    link("top/a", "/etc/passwd"),
    link("top/a", "../evil", tarfile.LNKTYPE),
    link("top/pipe", "", tarfile.FIFOTYPE),
    link("top/null", "", tarfile.CHRTYPE),
]


@pytest.mark.parametrize("member", OUTSIDE, ids=[str(number) for number in range(len(OUTSIDE))])
def test_members_that_lead_out(
    member: tarfile.TarInfo | tuple[str, bytes], tmp_path: Path, complaint: Complaint
) -> None:
    """Refused, after good members too, by name; in a zip as in a tar."""
    (tmp_path / "there").mkdir()
    name = member.name if isinstance(member, tarfile.TarInfo) else member[0]
    archive = tar_of(tmp_path / "there/a.tar", ("top/good.txt", b"good"), member)
    message = complaint(lambda: unpack(archive, "top", tmp_path / "there/top"))
    assert str(archive) in message and repr(name) in message
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.tar", "there"]
    if isinstance(member, tuple):
        with zipfile.ZipFile(tmp_path / "there/a.zip", "w") as out:
            out.writestr("top/good.txt", "good")
            out.writestr(name, "x")
        message = complaint(lambda: unpack(tmp_path / "there/a.zip", "top", tmp_path / "there/top"))
        assert "a.zip" in message and "evil" in message
        assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.tar", "a.zip", "there"]


def test_link_in_a_zip(tmp_path: Path, complaint: Complaint) -> None:
    info = zipfile.ZipInfo("top/a")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as out:
        out.writestr(info, "/etc/passwd")
    assert "'top/a'" in complaint(lambda: unpack(tmp_path / "a.zip", "top", tmp_path / "top"))


def test_link_downwards(tmp_path: Path) -> None:
    """One that stays in the archive is kept."""
    tar_of(tmp_path / "a.tar", ("top/below/a.txt", b"good"), link("top/a", "below/a.txt"))
    unpack(tmp_path / "a.tar", "top", tmp_path / "top")
    assert (tmp_path / "top/a").read_text() == "good"


@pytest.mark.parametrize("suffix", ["tgz", "zip"])
def test_absurd_size(suffix: str, tmp_path: Path, complaint: Complaint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Zeros that would fill the disk are refused before they are written."""
    monkeypatch.setattr(archives, "ALLOWED", 2**20)
    (tmp_path / "made/top").mkdir(parents=True)
    (tmp_path / "made/top/zeros").write_bytes(bytes(2**23))
    if suffix == "zip":
        with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as out:
            out.write(tmp_path / "made/top/zeros", "top/zeros")
    else:
        packed(tmp_path / "a.tgz", tmp_path / "made", ["top"])
    message = complaint(lambda: unpack(tmp_path / f"a.{suffix}", "top", tmp_path / "top"))
    assert "'top/zeros'" in message and "20 times" in message
    assert not (tmp_path / "top").exists()


def test_inner_archive_is_damaged(tmp_path: Path, complaint: Complaint) -> None:
    """ILSVRC's tar of tars: which one, and which image of it."""
    small_imagenet(tmp_path / "made")
    there = tmp_path / "imagenet"
    pack("imagenet", tmp_path / "made", there)
    archive = there / "ILSVRC2012_img_train.tar"
    with tarfile.open(archive) as tar:
        start = tar.getmember("n02085620.tar").offset_data
    whole = bytearray(archive.read_bytes())
    whole[start + 1024 : start + 1024 + 3000] = b"\xff" * 3000
    archive.write_bytes(whole)
    message = complaint(lambda: imagenet.index(tmp_path, {"train": 19, "rest": 4}))
    assert str(archive) in message and "n02085620" in message
    assert [path.name for path in there.iterdir()] == [archive.name]


def test_archive_of_something_else(tmp_path: Path, complaint: Complaint) -> None:
    archive = tar_of(tmp_path / "a.tar", ("other/a.txt", b"x"))
    message = complaint(lambda: unpack(archive, "top", tmp_path / "top"))
    assert str(archive) in message and "'top'" in message


def test_two_jobs_unpack_at_once(tmp_path: Path) -> None:
    """Whoever is second takes what the first has made."""
    for number in range(60):
        text(tmp_path / f"made/top/{number}/{number}.txt", str(number))
    there = tmp_path / "there"
    packed(there / "a.tgz", tmp_path / "made", ["top"])
    gate = threading.Barrier(4)

    def job(_: int) -> Path:
        gate.wait()
        return obtained(there, Archive("a.tgz", "top"))

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(job, range(4))) == {there / "top"}
    assert len(list((there / "top").rglob("*.txt"))) == 60
    assert sorted(path.name for path in there.iterdir()) == ["a.tgz", "top"]


def test_a_folder_that_nothing_can_be_written_to(tmp_path: Path, complaint: Complaint) -> None:
    """As stores that are shared often are. (Root writes everywhere: a file in its place stands for it.)"""
    archive = tar_of(tmp_path / "a.tar", ("top/a.txt", b"x"))
    text(tmp_path / "file")
    assert str(archive) in complaint(lambda: unpack(archive, "top", tmp_path / "file" / "top"))


# --- downloads --------------------------------------------------------------------------------------------------

CONTENT = b"an archive, say " * 9999


class Server(BaseHTTPRequestHandler):
    """Gives the same for every path but /gone; /short stops half way, with and without saying so."""

    content = CONTENT

    def do_GET(self) -> None:
        if self.path == "/gone":
            self.send_error(404)
            return
        self.send_response(200)
        if self.path != "/silent":
            self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content[: len(self.content) // 2] if self.path in ("/short", "/silent") else self.content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    """A server of this machine, and its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


@pytest.mark.parametrize("kind", ["sha256", "md5"])
def test_download(kind: str, server: str, tmp_path: Path) -> None:
    download(f"{server}/a.tar", tmp_path / "a.tar", f"{kind}:{hashlib.new(kind, CONTENT).hexdigest()}")
    assert (tmp_path / "a.tar").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/a.tar", "has sha256 .* expected 0000"),
        ("/gone", "not to be downloaded.*Not Found"),
        ("/short", "cut short"),
        ("/silent", "has sha256"),
    ],
)
def test_download_that_fails(path: str, says: str, server: str, tmp_path: Path, complaint: Complaint) -> None:
    """The address, and why; nothing is left behind."""
    message = complaint(lambda: download(server + path, tmp_path / "a.tar", f"sha256:{'0' * 64}"))
    assert server + path in message and re.search(says, message), message
    assert not list(tmp_path.iterdir())


def test_no_server(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="not to be downloaded"):
        download("http://127.0.0.1:9/a.tar", tmp_path / "a.tar", f"sha256:{'0' * 64}")


def test_downloaded_where_it_lacks(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Downloaded, unpacked and listed; the folder of all data sets itself is not made."""
    splits = small_caltech256(tmp_path / "made")
    archive = packed(tmp_path / "a.tar", tmp_path / "made", ["256_ObjectCategories"]).read_bytes()
    monkeypatch.setattr(Server, "content", archive)
    there = Archive(
        caltech256.ARCHIVE.file, caltech256.ARCHIVE.holds, f"{server}/a.tar", f"md5:{hashlib.md5(archive).hexdigest()}"
    )
    monkeypatch.setattr(caltech256, "ARCHIVE", there)
    with pytest.raises(Missing, match="no folder"):
        caltech256.index(tmp_path / "data", splits)
    (tmp_path / "data").mkdir()
    assert caltech256.index(tmp_path / "data", splits).summary["images"] == 109
    assert {path.name for path in (tmp_path / "data/caltech256").iterdir()} == {
        "256_ObjectCategories", "256_ObjectCategories.tar",
    }  # fmt: skip


def test_digests_are_whole() -> None:
    """What can be downloaded has one, of the length of its kind."""
    for module in (*LOADERS.values(), celeba):
        for archive in vars(module).values():
            if isinstance(archive, Archive):
                assert bool(archive.url) == bool(archive.digest)
                if archive.digest:
                    kind, _, digest = archive.digest.partition(":")
                    assert re.fullmatch(r"[0-9a-f]+", digest) and len(digest) == 2 * hashlib.new(kind).digest_size
