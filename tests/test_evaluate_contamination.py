"""Leaks that are planted are found, under any name and in pieces; nothing else is."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from simgen.errors import DatasetError
from simgen.evaluate.contamination import (
    Leak,
    Picture,
    clear,
    pictures_in,
    pictures_of,
    scan,
    told,
)
from simgen.train.images import LabelledImage, Source
from simgen.train.real import RealConfig, load_real

DATA = Path(os.environ.get("SIMGEN_DATA", "../shared/data"))


def photograph(seed: int, size: tuple[int, int] = (240, 260)) -> np.ndarray:
    """A ground surface: lines, grain, blotches and marks over a light from one side."""
    rng = np.random.default_rng(seed)
    height, width = size
    grain = cv2.GaussianBlur(rng.normal(size=size), (0, 0), 1.2)
    lines = cv2.GaussianBlur(rng.normal(size=size), (0, 0), sigmaX=0.8, sigmaY=25)
    blotches = cv2.GaussianBlur(rng.normal(size=size), (0, 0), 6)
    grey = 110 + 25 * grain / grain.std() + 12 * lines / lines.std()
    grey += 10 * blotches / blotches.std() + np.linspace(-25, 25, width)
    for x, y, radius in rng.integers(5, min(size) - 5, (14, 3)):
        cv2.circle(grey, (int(x), int(y)), int(2 + radius % 6), float(rng.uniform(20, 220)), -1)
    return grey.clip(0, 255).astype(np.uint8)


def image(pixels: np.ndarray, name: str, part: str) -> LabelledImage:
    return LabelledImage(image_id=1, file=Path(name), pixels=pixels, part=part)


@pytest.fixture(scope="module")
def judges() -> list[LabelledImage]:
    return [image(photograph(n), f"holdout{n}.png", f"part{n}") for n in range(6)]


def recompressed(pixels: np.ndarray, quality: int) -> np.ndarray:
    code = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(code, cv2.IMREAD_UNCHANGED)


def resized(pixels: np.ndarray, factor: float) -> np.ndarray:
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=way)


LEAKS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "the file itself": lambda p: p,
    "turned and mirrored": lambda p: np.rot90(p)[::-1],
    "in colour": lambda p: np.repeat(p[..., None], 3, axis=2),
    "recompressed": lambda p: recompressed(p, 30),
    "darker and recompressed": lambda p: recompressed((p * 0.5).astype(np.uint8), 60),
    "half the size": lambda p: recompressed(resized(p, 0.5), 75),
    "a flipped crop": lambda p: recompressed(p[40:200, 30:220][:, ::-1], 60),
    "a flipped crop of a quarter": lambda p: recompressed(p[60:180, 60:190][::-1], 60),
    "a turned and stretched piece": lambda p: recompressed(
        resized(np.rot90(p)[50:178, 50:178], 1.5), 75
    ),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_planted_leak_is_found(name: str, judges: list[LabelledImage]) -> None:
    made = np.ascontiguousarray(LEAKS[name](judges[3].pixels))
    picture = Picture(source="rendered", file=Path("innocent.png"), pixels=made)
    (leak,) = scan(judges, [picture])
    assert (leak.judge, leak.source, leak.file) == ("holdout3.png", "rendered", "innocent.png")
    identical = name in ("the file itself", "turned and mirrored", "in colour")
    assert (leak.what == "identical") == identical


def test_a_texture_cut_from_a_photograph_is_found_when_tiled(tmp_path: Path, judges) -> None:
    (tmp_path / "maps").mkdir()
    cut = judges[5].pixels[70:200, 60:190]
    cv2.imwrite(str(tmp_path / "maps" / "metal.jpg"), np.tile(cut, (3, 3)))
    cv2.imwrite(str(tmp_path / "maps" / "own.png"), photograph(99))
    light = cv2.cvtColor(judges[2].pixels, cv2.COLOR_GRAY2BGR).astype(np.float32) * 7
    cv2.imwrite(str(tmp_path / "maps" / "sky.hdr"), light)
    (tmp_path / "maps" / "notes.txt").write_text("no picture")
    leaks = scan(judges, pictures_in("rendered", tmp_path / "maps"))
    found = {(Path(leak.file).name, leak.judge) for leak in leaks}
    assert found == {("metal.jpg", "holdout5.png"), ("sky.hdr", "holdout2.png")}
    (tmp_path / "maps" / "broken.png").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"broken\.png: cannot be read"):
        pictures_in("rendered", tmp_path / "maps")
    with pytest.raises(DatasetError, match="does not exist"):
        pictures_in("rendered", tmp_path / "elsewhere")


def test_other_surfaces_of_the_same_kind_are_not_leaks(judges) -> None:
    others = [image(photograph(100 + n), f"train{n}.png", f"other{n}") for n in range(5)]
    assert scan(judges, pictures_of("real", others, real=True)) == []
    flat = image(np.full((64, 64), 128, np.uint8), "flat.png", "flat")
    assert scan([*judges, flat], pictures_of("real", others, real=True)) == []


def test_a_shared_part_is_an_error_whatever_the_mode(judges) -> None:
    others = [image(photograph(100), "train0.png", "part4")]
    (leak,) = scan(judges, pictures_of("real", others, real=True))
    assert (leak.what, leak.judge) == ("shared part", "part4")
    source = Source(name="real", images=tuple(judges), sha256="0")
    with pytest.raises(DatasetError, match=r"part part4 judges and is in source real"):
        clear(source, [leak], "warn")
    # A rendered scene's name is no physical part's.
    assert scan(judges, pictures_of("rendered", others, real=False)) == []


def test_what_a_leak_leads_to_is_chosen(judges) -> None:
    twin = replace(judges[1], file=Path("second.png"), pixels=photograph(50))
    source = Source(name="real", images=(*judges, twin), sha256="0")
    leak = Leak(what="piece", judge="holdout1.png", source="real", file="train7.png", agreement=0.8)
    with pytest.raises(
        DatasetError, match=r"holdout1\.png is in source real: train7\.png \(piece\)"
    ):
        clear(source, [leak], "error")
    left = clear(source, [leak], "leave_out")
    assert {i.part for i in left.images} == {f"part{n}" for n in range(6)} - {"part1"}
    # Detections are kept by this hash: those of the whole set are not these.
    assert left.sha256 != source.sha256
    assert clear(source, [leak], "warn") == source
    assert clear(source, [], "error") == source


def test_leaks_are_told_by_part_with_the_surest_example(judges) -> None:
    source = Source(name="real", images=tuple(judges), sha256="0")
    pairs = [("holdout1.png", "a.png", 0.6), ("holdout1.png", "b.png", 0.9)]
    pairs += [("holdout2.png", "/photographs/images/c.png", 0.7)]
    leaks = [
        Leak(what="piece", judge=judge, source="real", file=file, agreement=agreement)
        for judge, file, agreement in pairs
    ]
    first, second = told(source, leaks, "leave_out")
    assert first.startswith("part part1 is left out: 2 training pictures show it; holdout1.png is")
    assert first.endswith("b.png (piece)")
    # Folders would fill a page: names alone.
    assert second == (
        "part part2 is left out: 1 training picture shows it; holdout2.png is in source real:"
        " c.png (piece)"
    )
    assert "judges all the same" in told(source, leaks, "warn")[0]


# Photographs of one tile under the names of two, as the pictures show.
KNOWN = {("tile039", "tile040"), ("tile209", "tile210")}


@pytest.mark.parametrize(("name", "every"), [("magnetic_tile", 14), ("ball_screw", 9)])
def test_photographs_of_other_parts_are_not_leaks(name: str, every: int) -> None:
    config = RealConfig(root=str(DATA), set=name)
    if not config.folder.is_dir():
        pytest.skip(f"{config.folder} is not here; set SIMGEN_DATA")
    alike = {part for pair in KNOWN if name == "magnetic_tile" for part in pair}

    def some(split: str) -> list[LabelledImage]:
        images = load_real(config, split).images
        return [i for n, i in enumerate(images) if n % every == 0 or i.part in alike]

    judges = some("val")
    pictures = pictures_of("real", some("train"), real=True)
    part_of = {str(i.file): i.part for i in judges} | {str(p.file): p.part for p in pictures}
    found = {(part_of[leak.file], part_of[leak.judge]) for leak in scan(judges, pictures)}
    assert found == (KNOWN if alike else set())
