"""Pools from packages of the system, on small folders laid out as the packages lay them out."""

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import list_images
import numpy as np
import pytest
from PIL import Image

from mimeo import pictures
from mimeo.datasets import UNKNOWN, Index, Missing, glyphs, packaged
from mimeo.items import check_items, load_items, save_items, take

Complaint = Callable[[Callable[[], object]], str]
FONTS = str(files("matplotlib").joinpath("mpl-data", "fonts", "ttf"))


def icon(path: Path, side: int, seed: int, mode: str = "RGBA") -> Path:
    """A PNG of a bright disc on a transparent ground, another for each seed."""
    draw = np.random.default_rng(seed)
    grid = np.indices((side, side)) - side / 2
    inside = (grid**2).sum(0) < (side / 3) ** 2
    pixels = np.zeros((side, side, 4), np.uint8)
    pixels[inside] = [*draw.integers(100, 256, 3), 255]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).convert(mode).save(path)
    return path


@pytest.fixture
def theme(tmp_path: Path) -> Path:
    """A theme of three icons in two sizes, with a link, a copy and a tiny one; and a folder of clip art."""
    root = tmp_path / "icons" / "theme"
    for number, name in enumerate(("apps/clock", "apps/mail", "places/home")):
        icon(root / "16x16" / f"{name}.png", 16, number)
        icon(root / "48x48" / f"{name}.png", 48, number)
    (root / "48x48" / "apps" / "time.png").symlink_to("clock.png")
    (root / "48x48" / "actions").mkdir()
    (root / "48x48" / "actions" / "send.png").write_bytes((root / "48x48" / "apps" / "mail.png").read_bytes())
    icon(root / "16x16" / "apps" / "tiny.png", 16, 9)
    (root / "48x48" / "apps" / "clock.svg").write_text("<svg/>")
    return root


@pytest.fixture
def art(tmp_path: Path) -> Path:
    """Clip art by topic, a size in Faenza's manner among the folders, and a picture that lies in none."""
    root = tmp_path / "png"
    for number in range(6):
        icon(root / "cards" / f"{number}.png", 40, 20 + number)
    icon(root / "apps" / "96" / "bird.png", 40, 30, "LA")
    icon(root / "fish.png", 40, 31, "P")
    return root


def index(folders: dict[str, str], pool: int, **parameters: Any) -> Index:
    return packaged.index(None, {"pool": pool}, folders=folders, **parameters)


# --- listing --------------------------------------------------------------------------------------------------


def test_an_icon_counts_once(theme: Path, complaint: Complaint) -> None:
    """Its largest size alone; links, equal files and what is too small are left out."""
    found = index({str(theme): "GPL"}, 3)
    names = sorted(Path(name).relative_to(theme).as_posix() for name in found.columns["name"])
    assert [name.split("/")[0] for name in names] == ["48x48"] * 3
    assert len({Path(name).read_bytes() for name in found.columns["name"]}) == 3
    assert found.summary["of"] == 3
    assert "3 pictures" in complaint(lambda: index({str(theme): "GPL"}, 4))
    assert index({str(theme): "GPL"}, 4, smallest=16).summary["of"] == 4


def test_labels_are_folders(theme: Path, art: Path) -> None:
    """Collection and topic; folders that say a size are no topic."""
    found = index({str(theme): "GPL", str(art): "public domain"}, 11).columns
    assert set(found["collection"]) == {"theme", "png"}
    assert {"cards", "apps", "other"} <= set(found["topic"])
    assert not {"48x48", "96"} & set(found["topic"])
    assert set(found["split"]) == {"pool"}
    assert set(found["label"]) == {UNKNOWN}
    check_items("icons", found, ())


def test_no_series_rules_the_pool(art: Path) -> None:
    assert index({str(art): "x"}, 1).summary["of"] == 8
    few = index({str(art): "x"}, 4, most=2)
    assert few.summary["of"] == 4
    assert sorted(few.columns["topic"]) == ["apps", "cards", "cards", "other"]


def test_the_draw_is_the_seeds(theme: Path, art: Path) -> None:
    folders = {str(theme): "GPL", str(art): "x"}
    first, same, other = (index(folders, 5, seed=seed) for seed in (1, 1, 2))
    assert first.columns["name"].tolist() == same.columns["name"].tolist()
    assert first.summary == same.summary
    assert first.columns["name"].tolist() != other.columns["name"].tolist()
    assert first.summary["sha256_of_contents"] != other.summary["sha256_of_contents"]
    turned = index(dict(reversed(folders.items())), 5, seed=1)
    assert turned.columns["name"].tolist() == first.columns["name"].tolist()


def test_changed_content_shows_in_the_manifest(art: Path) -> None:
    before = index({str(art): "x"}, 8).summary["sha256_of_contents"]
    icon(art / "cards" / "0.png", 40, 99)
    assert index({str(art): "x"}, 8).summary["sha256_of_contents"] != before


def test_the_manifest_has_licences(art: Path, tmp_path: Path) -> None:
    spec = {
        "plugin": "packaged", "parameters": {"folders": {str(art): "public domain"}}, "splits": {"pool": 8},
        "classes": [], "obtain": "install it",
    }  # fmt: skip
    items, manifest = str(tmp_path / "items.csv"), str(tmp_path / "manifest.json")
    list_images.main("icons", spec, [], items, manifest)
    facts = json.loads(Path(manifest).read_text())
    assert facts["summary"][f"licence of {art}"] == "public domain"
    assert facts["summary"]["pictures"] == 8
    assert len(load_items(items)["name"]) == 8


def test_a_package_that_lacks(art: Path, tmp_path: Path) -> None:
    with pytest.raises(Missing, match="no folder"):
        index({str(art): "x", str(tmp_path / "none"): "y"}, 1)


def test_a_damaged_picture_is_named(art: Path, complaint: Complaint) -> None:
    (art / "cards" / "3.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    assert str(art / "cards" / "3.png") in complaint(lambda: index({str(art): "x"}, 8))


def test_absurdly_large_pictures_are_left_out(art: Path, monkeypatch: pytest.MonkeyPatch, complaint: Complaint) -> None:
    icon(art / "poster.png", 64, 50)
    assert index({str(art): "x"}, 1).summary["of"] == 9
    monkeypatch.setattr(packaged, "LARGEST", 50 * 50)
    assert index({str(art): "x"}, 1).summary["of"] == 8
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    assert "0 pictures" in complaint(lambda: index({str(art): "x"}, 1))


# --- decoding -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_decoded_on_black(theme: Path, art: Path, channels: int) -> None:
    """In the order asked, transparency black, whatever the mode of the file."""
    items = index({str(theme): "x", str(art): "y"}, 11).columns
    images = packaged.read(None, items, 32, channels)
    assert images.shape == (11, 32, 32, channels)
    assert images.dtype == np.uint8
    assert (images[:, 0, 0] == 0).all()
    assert (images[:, 16, 16].max(-1) >= 90).all()
    back = np.arange(11)[::-1]
    assert np.array_equal(packaged.read(None, take(items, back), 32, channels), images[::-1])


def test_a_file_that_changed_is_refused(art: Path, complaint: Complaint) -> None:
    items = index({str(art): "x"}, 8).columns
    icon(art / "fish.png", 60, 31)
    assert "another length" in complaint(lambda: packaged.read(None, items, 32, 3))


def padded(path: Path, size: int = 32, channels: int = 3) -> np.ndarray:
    return pictures.decode([path], np.array([path.stat().st_size]), np.array(["pad"]), size, channels)[0]


def test_padding_keeps_the_shape(tmp_path: Path) -> None:
    """A wide white picture is a band in the middle; a tall one stands."""
    Image.new("RGB", (80, 40), "white").save(tmp_path / "wide.png")
    wide = padded(tmp_path / "wide.png")
    assert (wide[8:24] == 255).all()
    assert not wide[:8].any()
    assert not wide[24:].any()
    Image.new("L", (40, 80), 255).save(tmp_path / "tall.png")
    assert np.array_equal(padded(tmp_path / "tall.png"), wide.swapaxes(0, 1))
    Image.new("RGB", (1, 3000), "white").save(tmp_path / "line.png")
    assert (padded(tmp_path / "line.png") == 255).all(2).any(1).all()


def test_dark_pictures_are_put_on_white(tmp_path: Path) -> None:
    """Black line art would vanish; what is transparent has no say in what is dark."""
    art = np.zeros((32, 32, 4), np.uint8)
    art[..., :3] = 255  # white, but not to be seen
    art[10:20, 10:20] = [0, 0, 0, 255]
    Image.fromarray(art).save(tmp_path / "dark.png")
    found = padded(tmp_path / "dark.png")
    assert (found[0, 0] == 255).all()
    assert not found[15, 15].any()
    art[10:20, 10:20] = [200, 0, 0, 255]
    Image.fromarray(art).save(tmp_path / "red.png")
    found = padded(tmp_path / "red.png")
    assert not found[0, 0].any()
    assert found[15, 15].tolist() == [200, 0, 0]


def test_nothing_bleeds_out_of_transparency(tmp_path: Path) -> None:
    """Halved, the edge of a red square mixes with the ground, and not with the colour of invisible pixels."""
    art = np.zeros((64, 64, 4), np.uint8)
    art[..., 1] = 255  # green, but not to be seen
    art[15:49, 15:49] = [255, 0, 0, 255]
    Image.fromarray(art).save(tmp_path / "a.png")
    found = padded(tmp_path / "a.png")
    assert not found[..., 1].any()
    assert found[16, 16].tolist() == [255, 0, 0]


# --- characters -----------------------------------------------------------------------------------------------


def characters(pool: int, **parameters: Any) -> Index:
    return glyphs.index(
        None, {"pool": pool}, **{"folder": FONTS, "licence": "free", "pattern": "DejaVu*.ttf"} | parameters
    )


def test_characters_count_once() -> None:
    """Letters, figures, symbols and punctuation that leave a trace, from the first font that has them."""
    found = characters(400)
    codes = [int(name[2:], 16) for name in found.columns["name"]]
    assert len(set(codes)) == 400
    assert {glyphs.unicodedata.category(chr(code))[0] for code in codes} <= set("LNSP")
    assert {path.name for path, _ in found.sources} == {Path(file).name for file in found.columns["file"]}
    assert {licence for _, licence in found.sources} == {"free"}
    latin = characters(400, pattern="DejaVuSans.ttf").columns
    assert set(latin["font"]) == {"DejaVuSans"}


def test_fonts_take_turns(tmp_path: Path) -> None:
    """A font of a hundred characters gives as many as one of thousands, until it has no more."""
    for new, font in (("few", "cmr10"), ("many", "DejaVuSans")):
        (tmp_path / f"{new}.ttf").write_bytes(Path(FONTS, f"{font}.ttf").read_bytes())

    def counts(pool: int) -> dict[str, int]:
        columns = characters(pool, folder=str(tmp_path), pattern="*.ttf").columns
        return dict(zip(*(part.tolist() for part in np.unique(columns["font"], return_counts=True)), strict=True))

    assert abs(counts(60)["few"] - counts(60)["many"]) <= 2
    assert counts(1000)["many"] > 4 * counts(1000)["few"]


def test_characters_are_the_seeds() -> None:
    first, same, other = (characters(50, seed=seed).columns["name"].tolist() for seed in (1, 1, 2))
    assert first == same != other


def test_characters_nearly_fill_the_image() -> None:
    """White on black, in the middle, the longer side seven eighths of the image; each as its font has it."""
    items = characters(200).columns
    images = glyphs.read(None, items, 32, 3)
    assert images.shape == (200, 32, 32, 3)
    assert (images[..., 0] == images[..., 2]).all()
    inked = images[..., 0] > 60
    spans = np.array([[np.ptp(np.flatnonzero(one.any(axis))) + 1 for axis in (0, 1)] for one in inked])
    assert spans.max() <= 30
    assert (spans.max(1) >= 24).mean() > 0.9
    assert not images[:, 0].any()
    assert not images[:, :, 0].any()
    assert len({image.tobytes() for image in images}) > 190
    back = np.arange(200)[::-1]
    assert np.array_equal(glyphs.read(None, take(items, back), 32, 3), images[::-1])


def test_a_character_looks_like_itself() -> None:
    """O is a ring, I a bar, a full stop no letter's height."""
    items = {"name": np.array(["U+0004F", "U+00049"]), "file": np.full(2, f"{FONTS}/DejaVuSans.ttf")}
    ring, bar = glyphs.read(None, items, 32, 1)[..., 0]
    assert ring[16, 16] == 0
    assert ring[16, :8].max() > 200
    assert bar[16, 16] > 200
    assert not bar[:, :8].any()


def test_fonts_that_lack(tmp_path: Path, complaint: Complaint) -> None:
    with pytest.raises(Missing, match="no font"):
        characters(1, folder=str(tmp_path))
    (tmp_path / "X-Regular.ttf").write_bytes(b"no font")
    assert "X-Regular.ttf" in complaint(lambda: characters(1, folder=str(tmp_path), pattern="*.ttf"))
    assert "are declared" in complaint(lambda: characters(100_000))


def test_both_pass_through_the_stages(theme: Path, tmp_path: Path) -> None:
    """Listed, kept as CSV, read back and decoded: what comes out is what goes in."""
    for number, (plugin, found) in enumerate(((packaged, index({str(theme): "x"}, 3)), (glyphs, characters(20)))):
        save_items(str(tmp_path / f"{number}.csv"), found.columns)
        again = load_items(str(tmp_path / f"{number}.csv"))
        assert np.array_equal(plugin.read(None, again, 32, 3), plugin.read(None, found.columns, 32, 3))
