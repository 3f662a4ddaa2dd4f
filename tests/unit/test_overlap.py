"""Which of a victim's classes a pool has: names compared plainly, a reviewed list of synonyms, and the lists in git."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torchvision

from mimeo.overlap import normalise, overlap, read_classes, read_synonyms

Complaint = Callable[[Callable[[], object]], str]
ROOT = Path(__file__).resolve().parents[2]
CLASSES = ROOT / "workflow" / "scripts" / "mimeo" / "datasets" / "classes"
SYNONYMS = ROOT / "config" / "synonyms.csv"
VICTIMS = {"caltech256": 256, "cub200": 200, "indoor67": 67, "diabetic5": 5}
POOLS = {"imagenet.csv": 1000, "openimages.txt": 601}


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("001.ak47", "ak47"),
        ("002.American-Flag", "american flag"),
        ("014.Indigo_Bunting", "indigo bunting"),
        ("240.watch-101", "watch"),
        ("  Sea  lion ", "sea lion"),
        ("129.leopards-101", "leopards"),
        ("t-shirt", "t shirt"),
        ("No. 5", "no. 5"),
        ("101", "101"),
    ],
)
def test_normalise(name: str, plain: str) -> None:
    assert normalise(name) == plain


def test_overlap() -> None:
    """Pairs in the victim's order, synonyms in their direction alone and only where the name itself lacks."""
    victim = ["002.sea-lion", "003.mouse-101", "004.bus", "005.dogs"]
    pool = ["Dog", "Sea lion", "rodent", "beagle", "SEA_LION", "Mouse"]
    synonyms = [("dogs", "dog"), ("dogs", "beagle"), ("mouse", "rodent"), ("coach", "bus"), ("bus", "coach")]
    assert overlap(victim, pool) == [
        ("002.sea-lion", "Sea lion"), ("002.sea-lion", "SEA_LION"), ("003.mouse-101", "Mouse"),
    ]  # fmt: skip
    wider = [("003.mouse-101", "Mouse"), ("005.dogs", "Dog"), ("005.dogs", "beagle")]
    assert overlap(victim, pool, synonyms)[2:] == wider
    assert overlap(["coach"], ["Bus"], [("bus", "coach")]) == []
    assert overlap([], pool, synonyms) == overlap(victim, [], synonyms) == []


@pytest.mark.parametrize(("name", "count"), [*((f"{name}.txt", n) for name, n in VICTIMS.items()), *POOLS.items()])
def test_lists_of_classes(name: str, count: int) -> None:
    """As many as the data set has, none of them twice, even in lower case but where the owners have it so."""
    names = read_classes(CLASSES / name)
    assert len(names) == count
    assert all(name == name.strip() for name in names)
    twice = {name.lower() for name in names if [other.lower() for other in names].count(name.lower()) > 1}
    assert twice == ({"cardigan"} if name == "imagenet.csv" else set())


def test_numbered_folders() -> None:
    """Caltech256 and CUBS200 number theirs from 1, sorted; Indoor67's are sorted."""
    for name in ("caltech256", "cub200"):
        names = read_classes(CLASSES / f"{name}.txt")
        assert [int(folder.split(".")[0]) for folder in names] == list(range(1, len(names) + 1))
    indoor = read_classes(CLASSES / "indoor67.txt")
    assert indoor == sorted(indoor)


def test_names_of_ilsvrc_are_torchvisions() -> None:
    """In the order of the identifiers."""
    names = read_classes(CLASSES / "imagenet.csv")
    assert names == torchvision.models.ResNet18_Weights.DEFAULT.meta["categories"]
    wnids = [line.split(",")[0] for line in (CLASSES / "imagenet.csv").read_text().splitlines()[1:]]
    assert wnids == sorted(wnids) and wnids[0] == "n01440764"


def test_synonyms_are_used() -> None:
    """Every one joins a victim's class to a pool's; none is a slip of the pen, or needless."""
    synonyms = read_synonyms(SYNONYMS)
    victims = [name for victim in VICTIMS for name in read_classes(CLASSES / f"{victim}.txt")]
    used = {
        (normalise(ours), normalise(theirs))
        for pool in POOLS
        for ours, theirs in overlap(victims, read_classes(CLASSES / pool), synonyms)
    }
    assert not [pair for pair in synonyms if pair not in used]


def test_broken_lists(tmp_path: Path, complaint: Complaint) -> None:
    """Each one line, with the file's name."""
    file = tmp_path / "synonyms.csv"
    for content, says in (
        ("a,b,c\n", "expected victim class"),
        ("victim class,pool class,why\na,b\n", "line 2"),
        ("victim class,pool class,why\na,b, \n", "line 2"),
        ("victim class,pool class,why\na,b,x\na,b,y\n", "line 3"),
        ("", "not a list"),
    ):
        file.write_text(content)
        message = complaint(lambda: read_synonyms(file))
        assert str(file) in message and says in message
    assert "not a list" in complaint(lambda: read_synonyms(tmp_path / "none.csv"))
    assert "not a list" in complaint(lambda: read_classes(tmp_path / "none.txt"))
    (tmp_path / "a.csv").write_text("wnid,title\nn1,dog\n")
    assert "not a list" in complaint(lambda: read_classes(tmp_path / "a.csv"))
    (tmp_path / "a.txt").write_text("# remark\ndog\ncat\ndog\n")
    assert "'dog'" in complaint(lambda: read_classes(tmp_path / "a.txt"))
