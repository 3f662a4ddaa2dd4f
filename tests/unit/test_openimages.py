"""The pools of Open Images: chosen by rule, fetched in any number of runs, and honest about what cannot be had."""

import csv
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import list_images
import numpy as np
import pytest
from PIL import Image

from mimeo import collecting
from mimeo.collecting import Collection, read_rows
from mimeo.datasets import UNKNOWN, Index, Missing, openimages, openimages_faces
from mimeo.items import check_items, load_items, save_items

Complaint = Callable[[Callable[[], object]], str]
RARE, COMMON, OTHER, FACE = "/m/1rare", "/m/2common", "/m/3other", "/m/0dzct"
CLASSES = {RARE: "Zebra", COMMON: "Ant", OTHER: "Bee, honey", FACE: "Human face"}
LABELS = "ImageID,Source,LabelName,Confidence"
BOXES = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
POOL = {"pool": 30}
PER_CLASS = 20


def name(number: int) -> str:
    return f"{number:016x}"


def labels() -> list[tuple[int, str, int]]:
    """60 images are common, of which 5 are rare as well and 20 are the other; negatives of every class."""
    rows = [(number, COMMON, 1) for number in range(60)]
    rows += [(number, RARE, 1) for number in range(5)]
    rows += [(number, OTHER, 1) for number in range(10, 30)]
    return rows + [(number, RARE, 0) for number in range(40, 50)] + [(99, FACE, 0)]


def jpeg(width: int = 40, height: int = 30, colour: tuple[int, int, int] = (10, 20, 30)) -> bytes:
    file = BytesIO()
    Image.new("RGB", (width, height), colour).save(file, "JPEG", quality=95)
    return file.getvalue()


class Bucket:
    """A server of its own: what it holds, what it answers instead, and what it was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.answers: dict[str, int | bytes] = {}
        self.asked: Counter[str] = Counter()
        self.at_once = self.most = 0
        self.lock = threading.Lock()
        bucket = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                key = self.path.lstrip("/")
                with bucket.lock:
                    bucket.asked[key] += 1
                    bucket.at_once += 1
                    bucket.most = max(bucket.most, bucket.at_once)
                try:
                    answer = bucket.answers.get(key, bucket.files.get(key, bucket.answers.get("*", 404)))
                    self.send_response(answer if isinstance(answer, int) else 200)
                    content = b"" if isinstance(answer, int) else answer
                    short = 1000 if content.startswith(b"short") else 0
                    self.send_header("Content-Length", str(len(content) + short))
                    self.end_headers()
                    self.wfile.write(content)
                finally:
                    with bucket.lock:
                        bucket.at_once -= 1

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def images(self) -> dict[str, int]:
        """Requests by image."""
        return {key.removeprefix("train/")[:16]: count for key, count in self.asked.items() if key.endswith(".jpg")}

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """Lists and 60 images."""
    monkeypatch.setenv("no_proxy", "*")
    bucket = Bucket()
    bucket.files["class-descriptions-boxable.csv"] = described().encode()
    bucket.files[f"train/{openimages.LABELS}"] = labelled(labels()).encode()
    for number in range(60):
        bucket.files[f"train/{name(number)}.jpg"] = jpeg(40, 30, (number, 20, 30))
    yield bucket
    bucket.close()


def described() -> str:
    return "".join(f'{identifier},"{title}"\n' for identifier, title in CLASSES.items())


def labelled(rows: list[tuple[int, str, int]]) -> str:
    return "\n".join([LABELS, *(f"{name(image)},verification,{kind},{sure}" for image, kind, sure in rows), ""])


def listed(data: Path | None, bucket: Bucket, splits: dict[str, int] = POOL, **changes: Any) -> Index:
    """The pool of whole images; half of the requests may fail."""
    parameters: dict[str, Any] = {"per_class": PER_CLASS, "threads": 4, "tolerated": 0.5}
    parameters |= {"url": bucket.address + "/train/{id}.jpg", "lists": bucket.address}
    return openimages.index(data, splits, **(parameters | changes))


def ids(index: Index) -> dict[str, str]:
    """Class by image."""
    kinds = [index.classes[label] for label in index.columns["label"]]
    return {Path(file).stem: kind for file, kind in zip(index.columns["name"].tolist(), kinds, strict=True)}


def noted(data: Path) -> dict[str, str]:
    with open(data / "openimages/failed.csv", newline="") as file:
        return {row["id"]: row["reason"] for row in csv.DictReader(file)}


# --- the choice -------------------------------------------------------------------------------------------------


def test_pool(tmp_path: Path, bucket: Bucket) -> None:
    """As many as declared, each once, with a class that it has; the rare class keeps all of its images."""
    index = listed(tmp_path, bucket)
    check_items("openimages", index.columns, index.classes)
    assert index.classes == ("Ant", "Bee, honey", "Human face", "Zebra")
    found = ids(index)
    assert len(found) == 30 and set(index.columns["split"]) == {"pool"}
    assert {image for image, kind in found.items() if kind == "Zebra"} == {name(number) for number in range(5)}
    right = {(name(image), CLASSES[kind]) for image, kind, sure in labels() if sure}
    assert set(found.items()) <= right
    # In turn: 5 of the rare class, then the two others share the rest.
    assert Counter(found.values()) == {"Zebra": 5, "Ant": 13, "Bee, honey": 12}
    assert bucket.images() == dict.fromkeys(found, 1)
    assert not (tmp_path / "openimages/failed.csv").exists()
    assert [path.name for path, _ in index.sources] == ["class-descriptions-boxable.csv", openimages.LABELS]
    assert index.summary["images"] == 30 and index.summary["failed"] == 0


def test_most_of_a_class(tmp_path: Path, bucket: Bucket) -> None:
    assert Counter(ids(listed(tmp_path, bucket, {"pool": 9}, per_class=3)).values()) == dict.fromkeys(
        ("Zebra", "Ant", "Bee, honey"), 3
    )


def test_choice_depends_on_no_order_of_the_list(tmp_path: Path, bucket: Bucket) -> None:
    """Nor on the folder; on the seed it does."""
    first = listed(tmp_path / "a", bucket)
    rows = labels()
    np.random.default_rng(0).shuffle(rows)
    bucket.files[f"train/{openimages.LABELS}"] = labelled(rows + rows[:9]).encode()
    bucket.files["class-descriptions-boxable.csv"] = "\n".join(described().splitlines()[::-1]).encode()
    again = listed(tmp_path / "b", bucket)
    assert again.classes == first.classes and again.summary == first.summary
    assert all(np.array_equal(again.columns[column], first.columns[column]) for column in first.columns)
    assert ids(listed(tmp_path / "b", bucket, seed=1)) != ids(first)


def test_too_few_candidates(tmp_path: Path, bucket: Bucket, complaint: Complaint) -> None:
    """Before anything is fetched."""
    text = complaint(lambda: listed(tmp_path, bucket, {"pool": 46}))
    assert openimages.LABELS in text and "45 images" in text and "says 46" in text
    assert not bucket.images()
    assert "one split" in complaint(lambda: listed(tmp_path, bucket, {"pool": 3, "test": 3}))


# --- the net ----------------------------------------------------------------------------------------------------


def test_what_is_there_is_not_fetched(tmp_path: Path, bucket: Bucket) -> None:
    """A folder that is complete needs no net at all."""
    first = listed(tmp_path, bucket)
    bucket.close()
    again = listed(tmp_path, bucket)
    assert again.summary == first.summary
    assert bucket.images() == dict.fromkeys(ids(first), 1)


def test_images_that_are_gone_are_replaced(tmp_path: Path, bucket: Bucket) -> None:
    """By the next of their class; they are noted, and not asked for again."""
    first = ids(listed(tmp_path / "whole", bucket))
    gone = [image for image, kind in first.items() if kind == "Ant"][:4]
    for image in gone:
        del bucket.files[f"train/{image}.jpg"]
    bucket.asked.clear()
    index = listed(tmp_path, bucket)
    found = ids(index)
    assert Counter(found.values()) == Counter(first.values())
    assert set(first) - set(found) == set(gone)
    assert noted(tmp_path) == dict.fromkeys(gone, "HTTP 404")
    assert index.summary["failed"] == 4
    (tmp_path / "openimages/train" / f"{min(found)}.jpg").unlink()
    bucket.asked.clear()
    assert ids(listed(tmp_path, bucket)) == found
    assert bucket.images() == {min(found): 1}


@pytest.mark.parametrize(
    ("answer", "reason"), [(b"", "empty"), (b"<html>", "not a JPEG file"), (503, "HTTP 503"), (b"short", "Incomplete")]
)
def test_bad_answers_are_replaced(tmp_path: Path, bucket: Bucket, answer: int | bytes, reason: str) -> None:
    """Once the pool is whole it stays as it is, though the image may be had by now."""
    bad = min(ids(listed(tmp_path / "whole", bucket)))
    bucket.answers[f"train/{bad}.jpg"] = answer
    found = ids(listed(tmp_path, bucket))
    assert bad not in found and len(found) == 30
    assert list(noted(tmp_path)) == [bad] and reason in noted(tmp_path)[bad]
    assert not (tmp_path / f"openimages/train/{bad}.jpg").exists()
    bucket.answers.clear()
    bucket.asked.clear()
    assert ids(listed(tmp_path, bucket)) == found
    assert not bucket.asked


def test_failures_that_may_pass_are_tried_again(tmp_path: Path, bucket: Bucket, complaint: Complaint) -> None:
    """By the run after one that stopped; those that are gone for good are not."""
    first = ids(listed(tmp_path / "whole", bucket, threads=1))
    gone, *busy = list(bucket.images())[5:9]  # in the order in which they are fetched
    del bucket.files[f"train/{gone}.jpg"]
    bucket.answers |= {f"train/{image}.jpg": 503 for image in busy}
    text = complaint(lambda: listed(tmp_path, bucket, tolerated=0.1, threads=1))
    assert "4 of 9 images" in text and "0.1" in text and busy[-1] in text and "HTTP 503" in text
    assert noted(tmp_path) == {gone: "HTTP 404", **dict.fromkeys(busy, "HTTP 503")}
    kept = {path.stem for path in (tmp_path / "openimages/train").glob("*.jpg")}
    assert len(kept) >= 5
    bucket.answers.clear()
    bucket.asked.clear()
    found = ids(listed(tmp_path, bucket))
    assert set(first) - set(found) == {gone}
    assert bucket.images() == dict.fromkeys(set(found) - kept, 1)


def test_deleted_notes_are_tried_again(tmp_path: Path, bucket: Bucket) -> None:
    first = ids(listed(tmp_path / "whole", bucket))
    gone = min(first)
    content = bucket.files.pop(f"train/{gone}.jpg")
    listed(tmp_path, bucket)
    bucket.files[f"train/{gone}.jpg"] = content
    assert gone not in ids(listed(tmp_path, bucket))
    (tmp_path / "openimages/failed.csv").unlink()
    assert ids(listed(tmp_path, bucket)) == first


def test_killed_run_is_resumed(tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it fetched is used, what it left half done is not; nothing is fetched twice."""
    plain, calls = Collection._count, Counter[str]()

    def count(self: Collection, image: str, reason: str) -> None:
        calls["done"] += 1
        if calls["done"] > 8:
            raise KeyboardInterrupt
        plain(self, image, reason)

    with monkeypatch.context() as patch:
        patch.setattr(Collection, "_count", count)
        with pytest.raises(KeyboardInterrupt):
            listed(tmp_path, bucket, threads=2)
    train = tmp_path / "openimages/train"
    kept = {path.stem for path in train.glob("*.jpg")}
    assert 8 < len(kept) < 30
    assert not [path for path in train.iterdir() if path.name.startswith(".")]
    (train / f".{name(7)}.jpg.0badc0de").write_bytes(b"half")
    (train / f"{min(kept)}.jpg").write_bytes(b"")  # a disk that was full, or a copy that was cut off
    bucket.asked.clear()
    index = listed(tmp_path, bucket)
    assert bucket.images() == dict.fromkeys(set(ids(index)) - kept | {min(kept)}, 1)
    assert ids(index) == ids(listed(tmp_path / "whole", bucket))


def test_failed_write_leaves_nothing(tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is no failure of the net: it ends the run."""

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device", str(target))

    listed(tmp_path, bucket, {"pool": 3})
    for path in (tmp_path / "openimages/train").iterdir():
        path.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="No space"):
            listed(tmp_path, bucket, {"pool": 3})
    assert not list((tmp_path / "openimages/train").iterdir())
    assert not (tmp_path / "openimages/failed.csv").exists()


def test_few_at_once(tmp_path: Path, bucket: Bucket) -> None:
    listed(tmp_path, bucket, threads=3)
    assert 1 <= bucket.most <= 3


def test_offline(tmp_path: Path, bucket: Bucket) -> None:
    """One line after a few requests: without the lists, and with them but without the images."""
    address = bucket.address
    listed(tmp_path, bucket, {"pool": 3})
    bucket.close()
    with pytest.raises(Missing, match=r"class-descriptions-boxable\.csv is not there.*refused"):
        listed(tmp_path / "empty", bucket)
    assert not list((tmp_path / "empty").rglob("*.csv"))
    with pytest.raises(Missing, match=f"10 requests in a row failed.*{address}.*refused") as caught:
        listed(tmp_path, bucket, tolerated=1)
    assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(Missing, match=r"4 of 4 images.*0\.1.*refused"):
        listed(tmp_path, bucket, tolerated=0.1)
    assert len(noted(tmp_path)) == 4


def test_wrong_address_stops_early(tmp_path: Path, bucket: Bucket, complaint: Complaint) -> None:
    """Everything is answered, and nothing is there."""
    text = complaint(lambda: listed(tmp_path, bucket, url=bucket.address + "/nowhere/{id}.jpg", tolerated=0.1))
    assert "4 of 4 images" in text and "HTTP 404" in text
    for url in ("ftp://example.org/{id}", "https://example.org/"):
        assert "parameter url" in complaint(lambda url=url: listed(tmp_path, bucket, url=url))  # type: ignore[misc]
    assert "parameter threads" in complaint(lambda: listed(tmp_path, bucket, threads=0))
    assert "parameter tolerated" in complaint(lambda: listed(tmp_path, bucket, tolerated=1.5))


def test_list_that_breaks_off(tmp_path: Path, bucket: Bucket) -> None:
    bucket.answers[f"train/{openimages.LABELS}"] = b"short list"
    with pytest.raises(Missing, match=f"{openimages.LABELS}.* breaks off"):
        listed(tmp_path, bucket)
    assert [path.name for path in (tmp_path / "openimages").iterdir()] == ["class-descriptions-boxable.csv"]


def test_progress(
    tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """How far, how fast and how many failed; not more often than said."""
    monkeypatch.setattr(collecting, "EVERY", 0.0)
    listed(tmp_path, bucket)
    lines = capsys.readouterr().err.splitlines()
    assert "30 of 30 images" in lines[-1] and "a second, 0 failed" in lines[-1]
    monkeypatch.setattr(collecting, "EVERY", 100.0)
    listed(tmp_path / "b", bucket)
    assert len(capsys.readouterr().err.splitlines()) == 2  # the two lists


# --- damaged lists ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("ImageID,Source,Confidence\n", 1, "no column 'LabelName'"),
        ("", 1, "no column 'ImageID'"),
        (f"{LABELS}\n{name(1)},v,{RARE},1\n{name(2)},v\n", 3, "2 cells"),
        (f"{LABELS}\n{name(1)},v,{RARE},sure\n", 2, "sure"),
        (f"{LABELS}\n../../etc/x,v,{RARE},1\n", 2, "no image"),
        (f"{LABELS}\n{name(1)},v,/m/none,1\n", 2, "no class"),
    ],
)
def test_damaged_labels(tmp_path: Path, bucket: Bucket, text: str, line: int, says: str, complaint: Complaint) -> None:
    bucket.files[f"train/{openimages.LABELS}"] = text.encode()
    found = complaint(lambda: listed(tmp_path, bucket)) if text else ""
    path = tmp_path / "openimages" / openimages.LABELS
    if not text:
        path.parent.mkdir()
        path.write_text("")
        found = complaint(lambda: listed(tmp_path, bucket))
    assert f"{path}, line {line}: " in found and says in found


def test_other_damaged_files(tmp_path: Path, bucket: Bucket, complaint: Complaint) -> None:
    """The names of classes, the notes, and what is no text."""
    listed(tmp_path, bucket, {"pool": 3})
    root = tmp_path / "openimages"
    (root / "failed.csv").write_text("id\n1\n")
    assert "failed.csv, line 1" in complaint(lambda: listed(tmp_path, bucket, {"pool": 3}))
    (root / "failed.csv").write_text("id,reason\nstranger,HTTP 404\n")
    assert len(ids(listed(tmp_path, bucket, {"pool": 3}))) == 3
    (root / "failed.csv").unlink()
    for text in (f"{described()}{RARE},Again\n", f"{described()}/m/x\n"):
        (root / "class-descriptions-boxable.csv").write_text(text)
        text = complaint(lambda: listed(tmp_path, bucket, {"pool": 3}))
        assert "class-descriptions-boxable.csv, line 5" in text
    (root / "x.csv").write_bytes(b"a,b\n\xff\xfe,1\n")
    assert "x.csv, line 1" in complaint(lambda: read_rows(root / "x.csv", ("a", "b"), lambda a, b: None))


# --- what the stages do with it ---------------------------------------------------------------------------------


def test_read(tmp_path: Path, bucket: Bucket, complaint: Complaint) -> None:
    """Without the net, through a stored list, in the order asked."""
    index = listed(tmp_path, bucket)
    bucket.close()
    save_items(str(tmp_path / "items.csv"), index.columns)
    items = load_items(str(tmp_path / "items.csv"))
    images = openimages.read(tmp_path, items, 8, 3)
    assert images.shape == (30, 8, 8, 3)
    numbers = [int(image, 16) for image in ids(index)]
    assert np.abs(images[:, 4, 4, 0].astype(int) - numbers).max() <= 3
    (tmp_path / "openimages" / items["name"][0]).write_bytes(b"another")
    assert items["name"][0] in complaint(lambda: openimages.read(tmp_path, items, 8, 3))
    for plugin in (openimages, openimages_faces):
        with pytest.raises(Missing, match="MIMEO_DATA"):
            plugin.read(None, items, 8, 3)
        with pytest.raises(Missing, match="MIMEO_DATA"):
            plugin.index(None, POOL)


def test_stage(tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """The manifest has the digests of the lists, and counts; without the data, one says how to get them."""
    monkeypatch.setenv("MIMEO_DATA", str(tmp_path))
    parameters = {"per_class": PER_CLASS, "url": bucket.address + "/train/{id}.jpg", "lists": bucket.address}
    spec = {"plugin": "openimages", "parameters": parameters, "splits": POOL, "classes": 4, "obtain": "by itself"}
    list_images.main("pool", spec, [], str(tmp_path / "items.csv"), str(tmp_path / "manifest.json"))
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert [source["file"] for source in manifest["sources"]] == ["class-descriptions-boxable.csv", openimages.LABELS]
    assert all(len(source["sha256"]) == 64 for source in manifest["sources"])
    assert manifest["splits"] == POOL and manifest["summary"]["images"] == 30
    bucket.close()
    monkeypatch.setenv("MIMEO_DATA", str(tmp_path / "elsewhere"))
    with pytest.raises(list_images.MimeoError, match="To get it: by itself"):
        list_images.main("pool", spec, [], str(tmp_path / "items.csv"), str(tmp_path / "manifest.json"))


# --- faces ------------------------------------------------------------------------------------------------------

RED, GREEN, GREY = (220, 20, 20), (20, 200, 20), (128, 128, 128)
Planted = tuple[int, int, int, int, tuple[int, int, int]]  # left, top, width, height, colour


def scene(planted: list[Planted], width: int = 400, height: int = 200) -> bytes:
    image, file = Image.new("RGB", (width, height), GREY), BytesIO()
    for left, top, across, down, colour in planted:
        image.paste(colour, (left, top, left + across, top + down))
    image.save(file, "JPEG", quality=95, subsampling=0)
    return file.getvalue()


def row(image: int, left: float, right: float, top: float, bottom: float, kind: str = FACE, group: int = 0) -> str:
    return f"{name(image)},xclick,{kind},1,{left},{right},{top},{bottom},0,0,{group},0,0"


def faces(data: Path, bucket: Bucket, rows: list[str], count: int, **changes: Any) -> Index:
    bucket.files[f"train/{openimages_faces.BOXES}"] = "\n".join([BOXES, *rows, ""]).encode()
    parameters: dict[str, Any] = {"margin": 0.0, "least": 40, "threads": 2, "tolerated": 0.5}
    parameters |= {"url": bucket.address + "/train/{id}.jpg", "lists": bucket.address}
    return openimages_faces.index(data, {"pool": count}, **(parameters | changes))


def test_faces_are_cut_out(tmp_path: Path, bucket: Bucket) -> None:
    """A red and a green one of one image, each filled by its colour; nothing of other classes or groups."""
    bucket.files[f"train/{name(0)}.jpg"] = scene([(40, 60, 80, 80, RED), (240, 20, 100, 100, GREEN)])
    rows = [
        row(0, 0.6, 0.85, 0.1, 0.6),
        row(0, 0.1, 0.3, 0.3, 0.7),
        row(0, 0.1, 0.3, 0.3, 0.7),  # twice
        row(0, 0, 1, 0, 1, group=1),
        row(0, 0, 1, 0, 1, kind=RARE),
    ]
    index = faces(tmp_path, bucket, rows, 2)
    check_items("faces", index.columns, index.classes)
    assert index.classes == () and set(index.columns["label"]) == {UNKNOWN}
    assert index.columns["name"].tolist() == [f"{name(0)}-0", f"{name(0)}-1"]
    squares = np.stack([index.columns[column] for column in ("left", "top", "side")], axis=1)
    assert squares.tolist() == [[40, 60, 80], [240, 20, 100]]
    save_items(str(tmp_path / "items.csv"), index.columns)
    bucket.close()
    images = openimages_faces.read(tmp_path, load_items(str(tmp_path / "items.csv")), 16, 3)
    assert images.shape == (2, 16, 16, 3)
    for image, colour in zip(images, (RED, GREEN), strict=True):
        assert np.abs(image[1:-1, 1:-1].astype(int) - colour).max() <= 12
    assert index.summary["images"] == 1 and index.summary["faces"] == 2


def test_margin_makes_room(tmp_path: Path, bucket: Bucket) -> None:
    """A fifth on each side of 100 pixels: the box is the middle 100 of 140."""
    bucket.files[f"train/{name(0)}.jpg"] = scene([(150, 50, 100, 80, RED)])
    index = faces(tmp_path, bucket, [row(0, 0.375, 0.625, 0.25, 0.65)], 1, margin=0.2)
    assert [int(index.columns[column][0]) for column in ("left", "top", "side")] == [130, 20, 140]
    [image] = openimages_faces.read(tmp_path, index.columns, 140, 3)
    assert np.abs(image[35:105, 25:115].astype(int) - RED).max() <= 20
    assert np.abs(image[:25].astype(int) - GREY).max() <= 20 and np.abs(image[:, :15].astype(int) - GREY).max() <= 20


@pytest.mark.parametrize(
    ("box", "margin", "square"),
    [
        ((0.0, 0.2, 0.0, 0.4), 0.5, [0, 0, 160]),  # would begin 40 pixels before the image
        ((0.8, 1.0, 0.6, 1.0), 0.5, [240, 40, 160]),  # would end after it
        ((0.0, 1.0, 0.0, 1.0), 0.5, [100, 0, 200]),  # larger than the image
        ((0.5, 0.7, 0.2, 0.3), 0.0, [200, 10, 80]),  # wide: squared round its middle
    ],
)
def test_square_stays_in_the_image(
    tmp_path: Path, bucket: Bucket, box: tuple[float, float, float, float], margin: float, square: list[int]
) -> None:
    bucket.files[f"train/{name(0)}.jpg"] = scene([])
    index = faces(tmp_path, bucket, [row(0, *box)], 1, margin=margin)
    assert [int(index.columns[column][0]) for column in ("left", "top", "side")] == square
    assert openimages_faces.read(tmp_path, index.columns, 8, 3).shape == (1, 8, 8, 3)


@pytest.mark.parametrize("box", [(-0.2, 0.3, 0.1, 0.5), (0.5, 1.2, 0.1, 0.5), (0.5, 0.5, 0.1, 0.5), (0.6, 0.2, 0.1, 1)])
def test_box_outside_the_image_is_left_out(
    tmp_path: Path, bucket: Bucket, box: tuple[float, float, float, float], complaint: Complaint
) -> None:
    text = complaint(lambda: faces(tmp_path, bucket, [row(0, *box)], 1))
    assert openimages_faces.BOXES in text and "0 faces" in text and "says 1" in text


@pytest.mark.parametrize("number", ["wide", "nan"])
def test_damaged_box(tmp_path: Path, bucket: Bucket, number: str, complaint: Complaint) -> None:
    rows = [row(0, 0.1, 0.5, 0.1, 0.5), row(1, 0.1, 0.5, 0.1, 0.5).replace("0.5", number, 1)]
    assert f"{openimages_faces.BOXES}, line 3" in complaint(lambda: faces(tmp_path, bucket, rows, 1))


def test_exact_count_of_large_faces(tmp_path: Path, bucket: Bucket, complaint: Complaint) -> None:
    """Images of small faces and images that are gone give way to the next; the last image may give some of its own."""
    rows = []
    for number in range(20):
        bucket.files[f"train/{name(number)}.jpg"] = scene([])
        width = 0.05 if number % 4 == 0 else 0.3  # 20 or 120 pixels
        rows += [row(number, 0.1, 0.1 + width, 0.1, 0.15), row(number, 0.5, 0.5 + width, 0.1, 0.15)]
    for number in (2, 3):
        del bucket.files[f"train/{name(number)}.jpg"]
    most = 2 * 13
    for count in (7, most):
        index = faces(tmp_path, bucket, rows, count)
        check_items("faces", index.columns, ())
        assert len(index.columns["name"]) == count
        assert not {int(face[:16], 16) for face in index.columns["name"]} & {0, 2, 3, 4, 8, 12, 16}
    first = index.columns["name"].tolist()
    assert max(bucket.images().values()) == 1
    assert faces(tmp_path / "again", bucket, rows[::-1], most).columns["name"].tolist() == first
    assert f"{most} faces" in complaint(lambda: faces(tmp_path, bucket, rows, most + 1))


def test_faces_share_the_images(tmp_path: Path, bucket: Bucket) -> None:
    """With the pool of whole images; nothing is fetched twice."""
    whole = ids(listed(tmp_path, bucket))
    rows = [row(int(image, 16), 0, 1, 0, 1) for image in whole]
    faces(tmp_path, bucket, rows, 30, least=10)
    assert max(bucket.asked.values()) == 1


def test_parameters_of_faces(tmp_path: Path, bucket: Bucket, complaint: Complaint) -> None:
    rows = [row(0, 0.1, 0.5, 0.1, 0.5)]
    assert "parameter margin" in complaint(lambda: faces(tmp_path, bucket, rows, 1, margin=-1))
    assert "parameter least" in complaint(lambda: faces(tmp_path, bucket, rows, 1, least=0))
    assert "parameter label" in complaint(lambda: faces(tmp_path, bucket, rows, 1, label="Face"))


def test_damaged_image_is_named(tmp_path: Path, bucket: Bucket, complaint: Complaint) -> None:
    (tmp_path / "openimages/train").mkdir(parents=True)
    path = tmp_path / f"openimages/train/{name(0)}.jpg"
    path.write_text("no image")
    assert str(path) in complaint(lambda: faces(tmp_path, bucket, [row(0, 0.1, 0.5, 0.1, 0.5)], 1))
