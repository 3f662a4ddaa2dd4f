"""The gate: every reason fires where it should, and a sound training has none."""

from pathlib import Path

import numpy as np
import pytest
import score_victim
import torch

from mimeo.gate import failures
from mimeo.models import network, save_models
from mimeo.store import load_json, save_array, save_json

LABELS = np.arange(200) % 4
TAUGHT = np.full(4, 50)
SOUND = [1.4, 0.6, 0.2]


def right_on(share: float) -> np.ndarray:
    """Predictions that are right on this share of the images, and wrong by one class elsewhere."""
    wrong = np.arange(200) >= share * 200
    return np.where(wrong, (LABELS + 1) % 4, LABELS)


def test_sound_training_has_no_reason() -> None:
    for share in (1.0, 0.9, 0.5):
        assert failures(SOUND, right_on(share), LABELS, TAUGHT) == []


@pytest.mark.parametrize(
    "losses", [[1.0, float("nan")], [1.0, float("inf")], [float("nan")], [1.0, 0.2, 1.06], [0.5, 3.0]]
)
def test_divergence_fires(losses: list[float]) -> None:
    assert failures(losses, right_on(0.9), LABELS, TAUGHT) == ["diverged"]


@pytest.mark.parametrize("losses", [[1.0], [1.0, 1.04], [1.0, 5.0, 0.9]])
def test_loss_that_did_not_rise_is_no_divergence(losses: list[float]) -> None:
    """Nor one that rose on the way, or hardly at all."""
    assert failures(losses, right_on(0.9), LABELS, TAUGHT) == []


def test_chance_level_fires() -> None:
    """Chance is the largest class's share; a little above it may still be luck."""
    for share in (0.0, 0.25, 0.29):
        assert "chance level" in failures(SOUND, right_on(share), LABELS, TAUGHT)
    assert failures(SOUND, right_on(0.32), LABELS, TAUGHT) == []


def test_chance_level_of_an_unbalanced_test_set_is_the_largest_class() -> None:
    """Naming the majority throughout is right on 80% and worth nothing."""
    labels = np.where(np.arange(200) < 160, 0, 1)
    assert "chance level" in failures(SOUND, np.zeros(200, int), labels, np.array([160, 10]))
    assert failures(SOUND, labels, labels, np.array([160, 10])) == []


def test_dead_class_fires() -> None:
    predictions = np.where(LABELS == 2, 1, LABELS)
    assert failures(SOUND, predictions, LABELS, TAUGHT) == ["dead classes: 2"]
    predictions = np.where(LABELS >= 2, 1, LABELS)
    assert failures(SOUND, predictions, LABELS, TAUGHT) == ["dead classes: 2, 3"]


@pytest.mark.parametrize(("taught", "dead"), [(0, False), (5, False), (24, True), (50, True)])
def test_class_hardly_taught_is_not_dead(taught: int, dead: bool) -> None:
    """Below half its fair share of the training labels a class may go unlearnt: the attack was poor."""
    predictions, counts = np.where(LABELS == 2, 1, LABELS), np.array([50, 50, taught, 50])
    assert failures(SOUND, predictions, LABELS, counts) == (["dead classes: 2"] if dead else [])


def test_class_without_test_images_is_not_dead() -> None:
    labels = np.arange(150) % 3
    assert failures(SOUND, labels, labels, TAUGHT) == []


def test_reasons_come_together() -> None:
    reasons = failures([1.0, float("nan")], np.zeros(200, int), LABELS, TAUGHT)
    assert reasons == ["diverged", "chance level", "dead classes: 1, 2, 3"]


def test_untrained_network_never_fails() -> None:
    """Whatever it answers: nobody trained it."""
    for predictions in (np.zeros(200, int), right_on(0.25), right_on(1.0)):
        assert failures([], predictions, LABELS, np.zeros(4, int)) == []


def test_victim_whose_outputs_are_not_finite_is_flagged(tmp_path: Path) -> None:
    """A diverged victim is shown as failed; scoring it does not stop the run."""
    shape = {"size": 8, "channels": 1, "classes": 4}
    spec = {
        "shape": shape,
        "dataset": "toy",
        "kind": {"plugin": "trained", "parameters": {}},
        "architecture": {"plugin": "plain", "parameters": {"width": 2}},
    }
    model = network(spec["architecture"], **shape)()  # type: ignore[arg-type]
    with torch.no_grad():
        for weight in model.parameters():
            weight.fill_(float("nan"))
    place = {name: str(tmp_path / name) for name in ("x.npy", "y.npy", "w.safetensors", "log.json", "s.json", "a.npz")}
    save_models(place["w.safetensors"], {0: model})
    save_array(place["x.npy"], np.zeros((200, 8, 8, 1), np.uint8))
    save_array(place["y.npy"], LABELS.astype(np.int64))
    save_json(place["log.json"], {"losses": ["1.2", "nan"]})
    score_victim.main(
        "toy", spec, {"device": "cpu", "threads": 1, "resamples": 100}, place["x.npy"], place["y.npy"], place["y.npy"],
        [place["w.safetensors"]], [place["log.json"]], place["s.json"], place["a.npz"],
    )  # fmt: skip
    assert "diverged" in load_json(place["s.json"])["failures"]
