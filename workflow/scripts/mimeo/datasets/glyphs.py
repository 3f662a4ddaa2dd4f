"""Characters of the world's scripts, drawn from fonts that packages of the system install: a pool like Omniglot's.

Every letter, figure, symbol or punctuation mark counts once, from the first font (by name) that has it, white on
black, so that its longer side nearly fills the image. Fonts of other weights and styles would only repeat the shapes
and are left out. A seed draws as many as are declared, from all fonts in turn, so that scripts of thousands of
characters do not rule the pool. Each keeps its font, which in Noto's family stands for a script, as label.
"""

import unicodedata
from pathlib import Path

import numpy as np
from matplotlib.ft2font import FT2Font
from PIL import Image, ImageDraw, ImageFont

from mimeo.datasets import UNKNOWN, Index, Missing
from mimeo.errors import MimeoError

KINDS = "LNSP"  # general categories of Unicode: letters, numbers, symbols, punctuation; no marks, which need a letter
DRAWN = 96  # pixels an em, before a glyph is brought to its size
FILLED = 0.875  # of the image's side, by the glyph's longer side


def index(
    source: Path | None,
    splits: dict[str, int],
    *,
    folder: str,
    licence: str,
    pattern: str = "*-Regular.ttf",
    seed: int = 0,
) -> Index:
    """Draws the characters of the split ``pool``.

    Args:
        folder: where a package installs its fonts.
        licence: of the fonts.
        pattern: of the names of the fonts' files that are taken.
        seed: of the draw.

    Raises:
        Missing: the folder, or such a font, is not there: its package is not installed.
        MimeoError: a font cannot be read, or there are fewer characters than are declared.
    """
    fonts = sorted(Path(folder).glob(pattern))
    if not fonts:
        raise Missing(f"no font {Path(folder) / pattern}")
    first: dict[int, int] = {}
    for number, font in enumerate(fonts):
        for code in _characters(font):
            first.setdefault(code, number)
    wanted = splits.get("pool", 0)
    drawn: list[int] = []
    faces = {number: _face(fonts[number]) for number in set(first.values())}
    for code in _in_turn(first, np.random.default_rng(seed)):
        if len(drawn) == wanted:
            break
        left, top, right, bottom = faces[first[code]].getbbox(chr(code))
        if right > left and bottom > top:  # some are blank
            drawn.append(code)
    if len(drawn) < wanted:
        raise MimeoError(f"{folder}: fonts {pattern} have {len(drawn):,} characters, {wanted:,} are declared")
    used = sorted({first[code] for code in drawn})
    return Index(
        columns={
            "name": np.array([f"U+{code:05X}" for code in drawn]),
            "split": np.full(wanted, "pool"),
            "label": np.full(wanted, UNKNOWN),
            "font": np.array([fonts[first[code]].stem for code in drawn]),
            "file": np.array([str(fonts[first[code]]) for code in drawn]),
        },
        sources=tuple((fonts[number], licence) for number in used),
    )


def _in_turn(first: dict[int, int], draw: np.random.Generator) -> list[int]:
    """Characters in random order, one of each font, then a second of each that has more, and so on."""
    shuffled, taken = draw.permutation(sorted(first)).tolist(), dict.fromkeys(first.values(), 0)
    turns = []
    for code in shuffled:
        taken[first[code]] += 1
        turns.append(taken[first[code]])
    return [shuffled[at] for at in np.argsort(turns, kind="stable")]


def _characters(font: Path) -> list[int]:
    """The code points of a font that stand for something to be seen on its own."""
    try:
        codes = FT2Font(str(font)).get_charmap()
    except (OSError, RuntimeError) as error:
        raise MimeoError(f"{font}: not readable as a font: {' '.join(str(error).split())}") from None
    return [code for code in codes if unicodedata.category(chr(code))[0] in KINDS]


def _face(font: Path) -> ImageFont.FreeTypeFont:
    try:
        # the basic layout: a character alone needs no shaping, and the same pixels come out wherever Raqm is not
        return ImageFont.truetype(str(font), DRAWN, layout_engine=ImageFont.Layout.BASIC)
    except OSError as error:
        raise MimeoError(f"{font}: not readable as a font: {error}") from None


def read(source: Path | None, items: dict[str, np.ndarray], size: int, channels: int) -> np.ndarray:
    """Draws the listed characters in grey, repeated in every channel.

    Raises:
        MimeoError: a font is no longer there or cannot be read.
    """
    grey = np.empty((len(items["name"]), size, size), np.uint8)
    for file in np.unique(items["file"]):
        face = _face(Path(str(file)))
        for row in np.flatnonzero(items["file"] == file):
            grey[row] = _drawn(face, chr(int(str(items["name"][row])[2:], 16)), size)
    return np.repeat(grey[..., None], channels, axis=-1)


def _drawn(face: ImageFont.FreeTypeFont, character: str, size: int) -> np.ndarray:
    """One character, size x size."""
    left, top, right, bottom = (round(side) for side in face.getbbox(character))
    width, height = max(1, right - left), max(1, bottom - top)
    glyph = Image.new("L", (width, height))
    ImageDraw.Draw(glyph).text((-left, -top), character, font=face, fill=255)
    across, down = (max(1, round(FILLED * size * side / max(width, height))) for side in (width, height))
    image = Image.new("L", (size, size))
    image.paste(glyph.resize((across, down), Image.Resampling.BILINEAR), ((size - across) // 2, (size - down) // 2))
    return np.asarray(image)
