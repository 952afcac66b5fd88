"""How far synthetic images are from photographs, and whether they copy any: diagnostics.

None of this says whether synthetic images help; only the comparison of trained detectors does. It
says where to look when they do not. Train and val photographs alone are used.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from simgen.sampling import stream
from simgen.train.images import LabelledImage

Embed = Callable[[Sequence[LabelledImage]], np.ndarray]
_MOST_IMAGES = 400
_SPLITS = 20


def fidelity(
    train: Sequence[LabelledImage],
    val: Sequence[LabelledImage],
    synthetic: Mapping[str, Sequence[LabelledImage]],
    embed: Embed,
    seed: int,
) -> dict[str, Any]:
    """Return distances of synthetic sources to the photographs, with real ones to compare with.

    Args:
        train, val: Photographs; no part is in both.
        synthetic: Rendered or generated images by source.
        embed: Gives features, float64, shape (N, D); `mobilenet_features`.
        seed: Seed of splits and of which images are taken where there are many.

    Returns:
        JSON-ready. `real` has the same figures between photographs of different parts, each
        source's stand beside it: `kid` and `kid_low`, `kid_high`; `statistics` in standard
        deviations of the photographs; `nearest`, see `nearest_ratio`.
    """
    sampled = {n: _some(images, seed, n) for n, images in synthetic.items()}
    real = [*train, *val]
    features = embed(real)
    figures = image_statistics(real)
    at = len(train)
    halves = [_split_parts(real, stream(seed, n, "fidelity")) for n in range(_SPLITS)]
    between = [kid(features[h], features[~h]) for h in halves if h.any() and not h.all()]
    result: dict[str, Any] = {
        "real": {
            "kid": float(np.mean(between)),
            "kid_low": float(np.min(between)),
            "kid_high": float(np.max(between)),
            "statistics": _statistics_apart(figures[:at], figures[at:]),
            "nearest": nearest_ratio_of_halves(features[:at], [i.part for i in train], seed),
        },
        "sources": {},
    }
    for name, images in sampled.items():
        made = embed(images)
        result["sources"][name] = {
            "images": len(images),
            "kid": kid(made, features),
            "statistics": _statistics_apart(figures, image_statistics(images)),
            "nearest": nearest_ratio(made, features[:at], features[at:]),
        }
    return result


def kid(a: np.ndarray, b: np.ndarray) -> float:
    """Return the kernel distance of two sets of features, shapes (N, D) and (M, D).

    The unbiased squared maximum mean discrepancy with the cubic kernel (x y / D + 1)^3 (Binkowski
    et al. 2018). 0 is the same distribution; by chance it may be below.
    """
    size = a.shape[1]
    within_a, within_b = (a @ a.T / size + 1) ** 3, (b @ b.T / size + 1) ** 3
    n, m = len(a), len(b)
    if n < 2 or m < 2:
        return float("nan")
    same = (within_a.sum() - np.trace(within_a)) / (n * (n - 1))
    same += (within_b.sum() - np.trace(within_b)) / (m * (m - 1))
    return float(same - 2 * ((a @ b.T / size + 1) ** 3).mean())


def nearest_ratio(made: np.ndarray, seen: np.ndarray, unseen: np.ndarray) -> float:
    """Return how much nearer images lie to photographs seen in making them than to others.

    The median over images of the distance to the nearest seen photograph over that to the
    nearest unseen one. 1 is none nearer; well below the figure of photographs among
    themselves, images repeat what was seen. Both sides are cut to the same number.
    """
    count = min(len(seen), len(unseen))
    if count == 0 or len(made) == 0:
        return float("nan")

    def nearest(photographs: np.ndarray) -> np.ndarray:
        # Of equally many, spread evenly: among more, one would be nearer by number alone.
        chosen = photographs[np.linspace(0, len(photographs) - 1, count).round().astype(int)]
        square = (made**2).sum(1)[:, None] + (chosen**2).sum(1) - 2 * made @ chosen.T
        return np.sqrt(np.maximum(square, 0).min(axis=1))

    return float(np.median(nearest(seen) / np.maximum(nearest(unseen), 1e-12)))


def nearest_ratio_of_halves(features: np.ndarray, parts: Sequence[str], seed: int) -> float:
    """Return that ratio for photographs: of a third of the parts to the two others."""
    names = sorted(set(parts))
    ratios = []
    for n in range(_SPLITS):
        order = stream(seed, n, "nearest").permutation(len(names))
        third = {names[i]: int(rank * 3 // len(names)) for rank, i in enumerate(order)}
        of = np.array([third[p] for p in parts])
        ratios.append(nearest_ratio(features[of == 0], features[of == 1], features[of == 2]))
    known = [r for r in ratios if not np.isnan(r)]
    return float(np.mean(known)) if known else float("nan")


STATISTICS = ("brightness", "contrast", "sharpness", "noise", "correlation_x", "correlation_y")


def image_statistics(images: Sequence[LabelledImage]) -> np.ndarray:
    """Return simple statistics of each image, shape (N, 6), in the order of `STATISTICS`."""
    rows = []
    for image in images:
        grey = image.pixels
        grey = (grey if grey.ndim == 2 else cv2.cvtColor(grey, cv2.COLOR_RGB2GRAY)).astype(float)
        mean = max(grey.mean(), 1.0)
        diagonal = grey[:-1, :-1] - grey[:-1, 1:] - grey[1:, :-1] + grey[1:, 1:]
        detail = grey - cv2.GaussianBlur(grey, (0, 0), 3.0)
        variance = max((detail**2).mean(), 1e-6)
        rows.append(
            [
                mean,
                grey.std() / mean,
                detail.std() / mean,
                np.median(np.abs(diagonal)) / (2 * 0.6745) / mean,
                (detail[:, :-1] * detail[:, 1:]).mean() / variance,
                (detail[:-1] * detail[1:]).mean() / variance,
            ]
        )
    return np.array(rows)


def mobilenet_features(images: Sequence[LabelledImage]) -> np.ndarray:
    """Return features of the frozen ImageNet backbone, float64, shape (N, 1280).

    Each image is resized to 224 px, as the backbone saw its own.

    Raises:
        ConfigError: The extra `yolo` is not installed.
    """
    from simgen.train.extras import require_yolo
    from simgen.train.torchvision_compat import import_torchvision
    from simgen.train.weights import mobilenet_weights

    require_yolo()
    import_torchvision()
    import torch
    from torchvision.models import mobilenet_v2

    model = mobilenet_v2(weights=None).eval()
    model.load_state_dict(torch.load(mobilenet_weights(), weights_only=True))
    rows = []
    with torch.no_grad():
        for image in images:
            small = cv2.resize(image.pixels, (224, 224), interpolation=cv2.INTER_AREA)
            rgb = small if small.ndim == 3 else np.repeat(small[..., None], 3, axis=2)
            scaled = (rgb / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
            tensor = torch.from_numpy(scaled.astype(np.float32)).permute(2, 0, 1)[None]
            rows.append(model.features(tensor).mean((2, 3))[0].numpy().astype(np.float64))
    return np.stack(rows)


def _statistics_apart(a: np.ndarray, b: np.ndarray) -> dict[str, float]:
    """Return how far the means of two sets are apart, in standard deviations of the first."""
    spread = np.maximum(a.std(axis=0), 1e-9)
    apart = (b.mean(axis=0) - a.mean(axis=0)) / spread
    return dict(zip(STATISTICS, (float(v) for v in apart), strict=True))


def _split_parts(images: Sequence[LabelledImage], rng: np.random.Generator) -> np.ndarray:
    names = sorted({i.part for i in images})
    first = {names[i] for i in rng.permutation(len(names))[: len(names) // 2]}
    return np.array([i.part in first for i in images])


def _some(images: Sequence[LabelledImage], seed: int, name: str) -> list[LabelledImage]:
    if len(images) <= _MOST_IMAGES:
        return list(images)
    chosen = stream(seed, 0, f"fidelity/{name}").choice(len(images), _MOST_IMAGES, replace=False)
    return [images[i] for i in sorted(chosen)]
