"""The digits 0 to 9 rendered from the fonts that matplotlib ships: the same task as handwritten digits, from
another source (Copycat's problem-domain images).

Every glyph is drawn once at high resolution; placement, size, slant, rotation, blur, brightness and noise are
then applied to all images at once. A digit's look is a pure function of its name's row in the index.
"""

from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mimeo.datasets import Index
from mimeo.errors import MimeoError

FONTS = (
    *(f"DejaVuSans{s}" for s in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{s}" for s in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{s}" for s in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{s}" for s in ("", "Bol", "Italic", "BolIta")),
    *("cmr10", "cmss10", "cmtt10", "cmb10"),
)
LICENCES = {"De": "Bitstream Vera / DejaVu licence", "ST": "STIX font licence (OFL)", "cm": "BaKoMa licence"}
GLYPH, SAMPLES = 64, 4
RANGES = {  # uniform ranges of the random look; lengths are fractions of the image's side
    "zoom": (0.62, 0.85),
    "aspect": (0.75, 1.25),
    "slant": (-0.35, 0.35),
    "turn": (-0.2, 0.2),
    "right": (-0.10, 0.10),
    "down": (-0.06, 0.06),
    "gain": (0.8, 1.3),
    "blur": (0.0, 0.35),
    "noise": (0.0, 0.06),
}


def _path(font: str) -> Path:
    path = Path(str(files("matplotlib").joinpath("mpl-data", "fonts", "ttf", f"{font}.ttf")))
    if not path.is_file():
        raise MimeoError(f"fonts: {font}.ttf is not in matplotlib as installed")
    return path


def index(source: Path | None, splits: dict[str, int], *, digits: int = 10, seed: int = 0) -> Index:
    """Draws the looks of the split ``pool``; classes are balanced to within one image.

    Args:
        digits: how many there are, from 0 on.
        seed: of the draw.
    """
    if not 1 <= digits <= 10:
        raise MimeoError(f"fonts: digits: {digits} is not from 1 to 10")
    images, draw = splits.get("pool", 0), np.random.default_rng(seed)
    looks = {key: draw.uniform(low, high, images).round(6) for key, (low, high) in RANGES.items()}
    return Index(
        columns={
            "name": np.array([f"{number:06d}" for number in range(images)]),
            "split": np.full(images, "pool"),
            "label": draw.permutation(np.arange(images) % digits),
            "font": np.array(FONTS)[draw.integers(len(FONTS), size=images)],
            **looks,
            "grain": draw.integers(2**31, size=images),
        },
        classes=tuple("0123456789"[:digits]),
        sources=tuple((_path(font), LICENCES[font[:2]]) for font in FONTS),
    )


def read(source: Path | None, items: dict[str, np.ndarray], size: int, channels: int) -> np.ndarray:
    """Renders every digit at size x size, in chunks of bounded memory."""
    glyphs = _glyphs()
    chunk = max(1, 2**24 // (size * SAMPLES) ** 2)
    parts = [
        _render(glyphs, {key: column[start : start + chunk] for key, column in items.items()}, size)
        for start in range(0, len(items["name"]), chunk)
    ]
    grey = np.concatenate(parts) if parts else np.empty((0, size, size), np.uint8)
    return np.repeat(grey[..., None], channels, axis=-1)


def _glyphs() -> np.ndarray:
    """Every font's ten digits, centred: fonts x 10 x GLYPH x GLYPH in [0, 1]."""
    glyphs = np.zeros((len(FONTS), 10, GLYPH, GLYPH), np.float32)
    for row, font in enumerate(FONTS):
        path = _path(font)
        try:
            face = ImageFont.truetype(str(path), int(GLYPH * 0.9))
        except OSError as error:
            raise MimeoError(f"{path}: not readable as a font: {error}") from None
        for digit in range(10):
            left, top, right, bottom = face.getbbox(str(digit))
            image = Image.new("L", (GLYPH, GLYPH))
            corner = ((GLYPH - right + left) / 2 - left, (GLYPH - bottom + top) / 2 - top)
            ImageDraw.Draw(image).text(corner, str(digit), font=face, fill=255)
            glyphs[row, digit] = np.asarray(image, np.float32) / 255
    return glyphs


def _render(glyphs: np.ndarray, items: dict[str, np.ndarray], size: int) -> np.ndarray:
    """Samples the glyphs on a warped grid, averages, blurs and adds grain: N x size x size uint8."""
    look = {key: items[key].astype(np.float32)[:, None, None] for key in RANGES}
    grid = ((np.arange(size * SAMPLES) + 0.5) / (size * SAMPLES) - 0.5).astype(np.float32)
    y, x = grid[None, :, None] - look["down"], grid[None, None, :] - look["right"]
    cosine, sine = np.cos(look["turn"]), np.sin(look["turn"])
    x, y = cosine * x + sine * y, cosine * y - sine * x
    x = (x + look["slant"] * y) * look["zoom"] * look["aspect"]
    y = y * look["zoom"]
    column = np.clip(np.rint((x + 0.5) * GLYPH - 0.5), 0, GLYPH - 1).astype(int)
    row = np.clip(np.rint((y + 0.5) * GLYPH - 0.5), 0, GLYPH - 1).astype(int)
    font = np.array([FONTS.index(name) for name in items["font"]])
    ink = glyphs[font[:, None, None], items["label"].astype(int)[:, None, None], row, column]
    ink = ink.reshape(-1, size, SAMPLES, size, SAMPLES).mean((2, 4)) * look["gain"]
    padded = np.pad(ink, ((0, 0), (1, 1), (1, 1)))
    around = (padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1] + padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:]) / 4
    ink = ink + look["blur"] * (around - ink) + look["noise"] * _grain(items["grain"].astype(np.int64), size)
    return np.clip(np.rint(ink * 255), 0, 255).astype(np.uint8)


def _grain(seeds: np.ndarray, size: int) -> np.ndarray:
    """Approximately normal noise, N x size x size, each image's from its own seed (counter-based: splitmix64)."""
    counter = np.arange(4 * size * size, dtype=np.uint64)[None]
    state = (seeds.astype(np.uint64)[:, None] << np.uint64(24)) + counter
    state = state * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    uniform = ((state ^ (state >> np.uint64(31))) >> np.uint64(40)).astype(np.float32) / 2**24
    return (uniform.reshape(-1, 4, size, size).sum(1) - 2) * np.float32(3**0.5)
