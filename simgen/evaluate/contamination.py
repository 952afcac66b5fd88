"""Look for pictures that judge and were trained on, whole or in pieces, under any name."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from simgen.errors import DatasetError
from simgen.evaluate.fingerprints import (
    Fingerprint,
    Likeness,
    fingerprint,
    hash_distances,
    mirrored,
    orientations,
    perceptual_hash,
    piece_likeness,
    whole_likeness,
)
from simgen.train.images import LabelledImage, Source

# Measured on both real sets, see docs/evaluation.md. Two parts in the same rig share edges and
# reflections, which lie on each other as well as a copy does; features they hardly share.
AGREEMENT, WHOLE_AGREEMENT = 0.5, 0.9
FEATURES_A_BLOCK = 0.035
_BLOCKS = 4
_HASH_BITS = 10
_JUDGE_FEATURES, _FEATURES = 400, 200
_CANDIDATES, _VOTES = 4, 3
_WORDS, _PROBES = 1024, 6
_SMALLEST_WINDOW_PX = 96
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".hdr", ".exr")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """A picture that judges, found in what was trained on.

    Attributes:
        what: `identical`, `near duplicate`, `piece` or `shared part`.
        judge: The picture that judges, or the part.
        source: Name of the training source.
        file: The picture that was trained on, or that a scene is made with.
        agreement: How well their pixels agree, at most 1.
    """

    what: str
    judge: str
    source: str
    file: str
    agreement: float

    def __str__(self) -> str:
        if self.what == "shared part":
            return f"part {self.judge} judges and is in source {self.source} ({self.file})"
        return f"{self.judge} is in source {self.source}: {self.file} ({self.what})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture that was trained on, or that a scene is made with.

    Attributes:
        source: Name of the training source.
        file: Where it is.
        pixels: uint8, shape (H, W) or (H, W, 3).
        part: The physical part, or None.
        texture: It may be repeated or stretched over a surface, so pieces of it are looked up.
    """

    source: str
    file: Path
    pixels: np.ndarray
    part: str | None = None
    texture: bool = False


def pictures_of(source: str, images: Iterable[LabelledImage], *, real: bool) -> list[Picture]:
    """Return a source's images as pictures; the parts of rendered ones are no physical parts."""
    return [
        Picture(source=source, file=i.file, pixels=i.pixels, part=i.part if real else None)
        for i in images
    ]


def pictures_in(source: str, folder: Path) -> list[Picture]:
    """Return the pictures in a folder: textures, backgrounds, painted masks.

    Raises:
        DatasetError: One cannot be read.
    """
    if not folder.exists():
        raise DatasetError(f"{folder}: does not exist; it is to be scanned for source {source}")
    files = [folder] if folder.is_file() else sorted(folder.rglob("*"))
    pictures = [f for f in files if f.suffix.lower() in PICTURES and f.is_file()]
    return [replace(_read(source, file), texture=True) for file in pictures]


def pictures_at(source: str, file: Path) -> list[Picture]:
    """Return the picture in a file that was trained on, none if it has gone since."""
    return [_read(source, file)] if file.is_file() else []


def _read(source: str, file: Path) -> Picture:
    pixels = cv2.imread(str(file), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_GRAYSCALE)
    if pixels is None:
        raise DatasetError(f"{file}: cannot be read, so it cannot be scanned; restore it")
    if pixels.dtype != np.uint8:
        top = float(np.quantile(pixels, 0.99)) or 1.0
        pixels = np.clip(pixels * (255 / top), 0, 255).astype(np.uint8)
    return Picture(source=source, file=file, pixels=pixels)


def scan(judges: Sequence[LabelledImage], trained_on: Sequence[Picture]) -> list[Leak]:
    """Return every picture that is trained on and shows what a judging picture shows.

    Args:
        judges: The photographs that judge.
        trained_on: Pictures of all training sources, textures and backgrounds included.
    """
    leaks = _shared_parts(judges, trained_on)
    index = _Index(judges)
    for picture in tqdm(trained_on, desc="scan", unit="image", mininterval=1):
        windows = _windows(picture.pixels) if picture.texture else [picture.pixels]
        found = next((f for f in map(index.find, windows) if f is not None), None)
        if found is not None:
            judge, what, agreement = found
            leaks.append(
                Leak(
                    what=what,
                    judge=str(judges[judge].file),
                    source=picture.source,
                    file=str(picture.file),
                    agreement=agreement,
                )
            )
    return leaks


def told(judges: Source, leaks: Sequence[Leak], mode: str) -> list[str]:
    """Return a line for each part that judges and was found in training, with one example.

    Lines are for a reader: they name files without folders.

    Args:
        judges, leaks, mode: As for `clear`.
    """
    part_of = {str(i.file): i.part for i in judges.images}
    by_part: dict[str, list[Leak]] = {}
    for leak in leaks:
        by_part.setdefault(part_of.get(leak.judge, leak.judge), []).append(leak)
    done = "is left out" if mode == "leave_out" else "judges all the same"
    lines = []
    for part, found in sorted(by_part.items()):
        show = (
            "1 training picture shows"
            if len(found) == 1
            else f"{len(found)} training pictures show"
        )
        surest = max(found, key=lambda leak: leak.agreement)
        judge, file = Path(surest.judge).name, Path(surest.file).name
        lines.append(
            f"part {part} {done}: {show} it; {judge} is in source {surest.source}: {file}"
            f" ({surest.what})"
        )
    return lines


def clear(judges: Source, leaks: Sequence[Leak], mode: str) -> Source:
    """Return what may judge after a scan.

    Args:
        judges: The photographs that judge.
        leaks: What the scan found.
        mode: `error`, `leave_out` (the parts of leaked photographs do not judge) or `warn`.

    Raises:
        DatasetError: A part is shared; or something was found and `mode` is `error`, or
            nothing is left.
    """
    shared = [leak for leak in leaks if leak.what == "shared part"]
    if shared:
        raise DatasetError(f"{shared[0]}; keep every part in one split")
    if not leaks or mode == "warn":
        return judges
    if mode == "error":
        more = f" and {len(leaks) - 1} more" if len(leaks) > 1 else ""
        raise DatasetError(
            f"{leaks[0]}{more}; remove it from training, or judge without such parts by"
            " evaluate.contamination=leave_out"
        )
    files = {leak.judge for leak in leaks}
    parts = {i.part for i in judges.images if str(i.file) in files}
    left = tuple(i for i in judges.images if i.part not in parts)
    if not left:
        raise DatasetError(f"{leaks[0]}; no photograph is left to judge by")
    # Another set: detections in it are kept under its own hash.
    without = f"{judges.sha256} without {sorted(parts)}"
    return replace(judges, images=left, sha256=hashlib.sha256(without.encode()).hexdigest())


def _shared_parts(judges: Sequence[LabelledImage], trained_on: Sequence[Picture]) -> list[Leak]:
    ours = {i.part for i in judges}
    first: dict[tuple[str, str], Picture] = {}
    for picture in trained_on:
        if picture.part in ours:
            first.setdefault((str(picture.part), picture.source), picture)
    return [
        Leak(what="shared part", judge=part, source=source, file=str(p.file), agreement=1.0)
        for (part, source), p in sorted(first.items())
    ]


class _Index:
    """The judging pictures, prepared so that one look-up costs a few tens of milliseconds."""

    def __init__(self, judges: Sequence[LabelledImage]) -> None:
        self._content: Mapping[str, int] = {
            _content(o): n for n, i in enumerate(judges) for o in orientations(_grey(i.pixels))
        }
        self._prints: list[Fingerprint] = []
        hashes: list[np.ndarray] = []
        for image in judges:
            grey = _grey(image.pixels)
            self._prints += [fingerprint(p, _JUDGE_FEATURES) for p in (grey, mirrored(grey))]
            hashes += [perceptual_hash(o) for o in orientations(grey)]
        self._pixels = [i.pixels for i in judges]
        self._hashes = np.stack(hashes)
        counts = [len(p.features) for p in self._prints]
        self._owners = np.repeat(np.arange(len(counts)), counts)
        self._features = np.concatenate([p.features for p in self._prints])
        # An inverted file: features are looked up among those that have a word in common. The
        # words are some of the features themselves, which is enough and never random.
        step = max(1, len(self._features) // _WORDS)
        self._words = self._features[::step]
        word_of = np.concatenate(
            [(part @ self._words.T).argmax(axis=1) for part in _chunks(self._features)]
            or [np.zeros(0, np.int64)]
        )
        order = np.argsort(word_of, kind="stable")
        ends = np.searchsorted(word_of[order], np.arange(len(self._words) + 1))
        self._of_word = [order[a:b] for a, b in zip(ends[:-1], ends[1:], strict=True)]

    def find(self, pixels: np.ndarray) -> tuple[int, str, float] | None:
        """Return the judge that a picture shows, how, and how well they agree; or None."""
        grey = _grey(pixels)
        same = self._content.get(_content(grey))
        if same is not None:
            return same, "identical", 1.0
        print_ = fingerprint(grey, _FEATURES)
        best: tuple[int, str, float] | None = None
        for judge, what, likeness in self._candidates(print_):
            if _is_copy(likeness) and (best is None or likeness.agreement > best[2]):
                best = judge, what, likeness.agreement
        return best

    def _candidates(self, print_: Fingerprint) -> Iterable[tuple[int, str, Likeness]]:
        distances = hash_distances(print_.hash, self._hashes)
        for number in np.argsort(distances, kind="stable")[:_CANDIDATES]:
            if distances[number] <= _HASH_BITS:
                judge, turn = divmod(int(number), 8)
                whole = orientations(_grey(self._pixels[judge]))[turn]
                yield judge, "near duplicate", whole_likeness(print_.grey, whole)
        votes = np.bincount(self._owners[self._nearest(print_.features)])
        for owner in np.argsort(-votes, kind="stable")[:_CANDIDATES]:
            if votes[owner] >= _VOTES:
                likeness = piece_likeness(print_, self._prints[owner])
                if likeness is not None:
                    yield int(owner) // 2, "piece", likeness

    def _nearest(self, features: np.ndarray) -> np.ndarray:
        """Return the index of the nearest judging feature of each feature, shape (N,)."""
        if len(features) == 0 or len(self._features) == 0:
            return np.zeros(0, np.int64)
        likeness = features @ self._words.T
        probes = np.argsort(-likeness, axis=1, kind="stable")[:, :_PROBES]
        best, found = np.full(len(features), -1.0), np.zeros(len(features), np.int64)
        for word in np.unique(probes):
            members = self._of_word[word]
            rows = np.flatnonzero((probes == word).any(axis=1))
            if len(members):
                near = features[rows] @ self._features[members].T
                chosen = near.argmax(axis=1)
                value = near[np.arange(len(rows)), chosen]
                better = value > best[rows]
                best[rows[better]], found[rows[better]] = (
                    value[better],
                    members[chosen[better]],
                )
        return found


def _is_copy(found: Likeness) -> bool:
    if found.blocks < _BLOCKS:
        return False
    if found.features == 0:
        return found.agreement >= WHOLE_AGREEMENT
    return found.agreement >= AGREEMENT and found.features >= FEATURES_A_BLOCK * found.blocks


def _windows(pixels: np.ndarray) -> Iterable[np.ndarray]:
    """Yield a picture and its halves and thirds: a tiled texture matches in one period only."""
    yield pixels
    for parts in (2, 3):
        height, width = pixels.shape[0] // parts, pixels.shape[1] // parts
        if min(height, width) >= _SMALLEST_WINDOW_PX:
            for row, column in np.ndindex(parts, parts):
                yield pixels[row * height :, column * width :][:height, :width].copy()


def _chunks(features: np.ndarray, size: int = 4096) -> list[np.ndarray]:
    return [features[i : i + size] for i in range(0, len(features), size)]


def _grey(pixels: np.ndarray) -> np.ndarray:
    return pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)


def _content(grey: np.ndarray) -> str:
    return hashlib.sha256(repr(grey.shape).encode() + grey.tobytes()).hexdigest()
