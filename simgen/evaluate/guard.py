"""What every source is, which mixes to be wary of, and where synthetic images have no place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simgen.evaluate.contamination import PICTURES
from simgen.train.config import REAL
from simgen.train.rendered import RenderedConfig, manifest_of, rendered_with

_GENERATED = "model_generated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What a source says it is.

    Attributes:
        origin: `real`, `rendered` or `model_generated`.
        generations: How often images were made from images since a camera; None: it does not say.
    """

    origin: str
    generations: int | None


def provenance_of(datasets: Mapping[str, RenderedConfig]) -> dict[str, Provenance]:
    """Return the provenance of every source, the photographs included.

    What the config does not say is read from the dataset's manifest: images that are computed
    alone (`algorithmicMedia`) have nothing of a camera in them, composites are one away.
    """
    made = {REAL: Provenance(origin=REAL, generations=0)}
    for name, config in datasets.items():
        generations = config.generations
        if generations is None and config.origin != _GENERATED:
            generations = _generations_said(config)
        made[name] = Provenance(origin=config.origin, generations=generations)
    return made


def guard(
    arms: Mapping[str, Mapping[str, float]],
    provenance: Mapping[str, Provenance],
    max_synthetic_share: float,
) -> list[str]:
    """Return warnings about the mixes of an experiment, one line each.

    Args:
        arms: Ratios by arm and source.
        provenance: Of every source that an arm names.
        max_synthetic_share: Of an arm's images, not from a camera.
    """
    warnings = []
    for arm, mix in arms.items():
        synthetic = sum(ratio for name, ratio in mix.items() if provenance[name].origin != REAL)
        if all(provenance[name].origin != REAL for name in mix):
            warnings.append(
                f"{arm}: no real image, though there are some; for comparison only, not for use"
            )
        elif synthetic > max_synthetic_share:
            warnings.append(
                f"{arm}: {synthetic:.0%} of its images were taken by no camera, more than"
                f" {max_synthetic_share:.0%} (evaluate.max_synthetic_share)"
            )
    used = sorted({name for mix in arms.values() for name in mix})
    for name in used:
        source = provenance[name]
        if source.origin == _GENERATED:
            away = "an unknown number of" if source.generations is None else source.generations
            warnings.append(
                f"source {name}: made by a trained model, {away} generations from a camera; what it"
                " learned wrongly is learned again"
            )
        elif source.generations is None:
            warnings.append(
                f"source {name}: does not say how far it is from a camera; set"
                f" datasets.{name}.generations"
            )
    return warnings


def cards_that_differ(datasets: Mapping[str, RenderedConfig], asked: str) -> list[str]:
    """Return a warning for each dataset whose card names another bottleneck, or none.

    Args:
        datasets: Rendered ones.
        asked: The slice that the experiment is about.
    """
    warnings = []
    for name, config in datasets.items():
        said = (_said(config) or {}).get("bottleneck")
        lack = (isinstance(said, dict) and said.get("slice")) or "no bottleneck"
        if lack != asked:
            warnings.append(
                f"source {name}: its card names {lack}, the experiment {asked}; render it with"
                f" 'dataset.bottleneck.slice=\"{asked}\"'"
            )
    return warnings


def doubted_origins(datasets: Mapping[str, RenderedConfig]) -> list[str]:
    """Return a warning for each dataset that says it is computed alone but was made with pictures.

    Whether a picture is a photograph, only who rendered with it can say.

    Args:
        datasets: Rendered ones; a config's own `generations` is taken at its word.
    """
    warnings = []
    for name, config in datasets.items():
        pictures = [f.name for f in rendered_with(config) if f.suffix.lower() in PICTURES]
        if pictures and config.generations is None and _generations_said(config) == 0:
            warnings.append(
                f"source {name}: says that nothing in it is from a camera, but was rendered with"
                f" {pictures[0]}; if that is a photograph, set datasets.{name}.generations=1, and"
                " dataset.digital_source_type=compositeSynthetic when you render"
            )
    return warnings


def doubts_about_controls(
    val_by_arm: Mapping[str, float],
    alike: Mapping[str, Sequence[str]],
    converged: Mapping[str, Sequence[bool | None]],
    metric: str,
) -> list[str]:
    """Return why a control may not be the strongest, one line each: then a gain is hollow.

    Args:
        val_by_arm: Figure on val of every arm.
        alike: By control, other arms of the same real parts without synthetic images.
        converged: By control, whether the validation curve of each run had stopped rising.
        metric: Name of the figure.
    """
    lines = []
    for control, others in alike.items():
        rising = [c for c in converged[control] if c is False]
        if rising:
            lines.append(
                f"{control}: {len(rising)} of {len(converged[control])} runs of this control still"
                " rose on val at the end; raise train.passes"
            )
        for other in others:
            if val_by_arm[other] > val_by_arm[control]:
                lines.append(
                    f"{control}: {other} has the same photographs and a higher {metric} on val,"
                    f" {val_by_arm[other]:.3f} against {val_by_arm[control]:.3f}; make it the"
                    " control"
                )
    return lines


def not_to_be_used(
    judged: Mapping[str, Any],
    metric: str,
    val_by_share: Mapping[float, float],
) -> list[str]:
    """Return where the synthetic images should not be relied on, one line each.

    Args:
        judged: Result of `judge`.
        metric: The figure that has to show a gain. To hurt any other is enough to be named.
        val_by_share: Mean figure on val by the share of synthetic images, of arms that differ in
            nothing else.
    """
    lines: list[str] = []
    nothing: list[str] = []
    for arm in judged["controls"]:
        found: dict[str, list[str]] = {}
        hurt: list[str] = []
        kinds: list[str] = []
        for entry in judged["slices"]:
            compared = entry["versus_control"][arm]
            if compared[metric]["difference"] is not None:
                found.setdefault(compared[metric]["verdict"], []).append(entry["slice"])
            by = [name for name, against in compared.items() if against["verdict"] == "hurts"]
            if by:
                hurt.append(f"{entry['slice']} ({_listed(by)})")
                kinds += [entry["slice"]] if entry["group"] == "kind" else []
        if hurt:
            remedy = f" To mix without: datasets.NAME.exclude=[{','.join(kinds)}]" if kinds else ""
            lines.append(f"{arm}: not for {_listed(hurt)}, which it hurts.{remedy}")
        open_ = [*found.get("cannot tell", ()), *found.get("too few parts", ())]
        if open_ and len(open_) == sum(len(names) for names in found.values()):
            nothing.append(arm)
        elif open_:
            lines.append(
                f"{arm}: on {_listed(open_)} nothing is shown by {metric}; do not count on a gain."
            )
    if nothing:
        lines.append(
            f"{_listed(nothing)}: no slice shows anything by {metric}; do not count on a gain."
        )
    beyond = falls_beyond(val_by_share)
    if beyond is not None:
        best, worse = beyond
        lines.append(
            f"Not beyond a share of {100 * best:g}%, where the figure on val is highest:"
            f" {val_by_share[best]:.3f}; at {100 * worse:g}% it is {val_by_share[worse]:.3f}"
            " (no interval: val has few parts)."
        )
    return lines


def falls_beyond(val_by_share: Mapping[float, float]) -> tuple[float, float] | None:
    """Return the share with the best figure and the next larger one, if the figure falls there."""
    if len(val_by_share) < 2:
        return None
    shares = sorted(val_by_share)
    best = max(shares, key=lambda s: (val_by_share[s], -s))
    larger = [s for s in shares if s > best]
    return (best, larger[0]) if larger else None


def synthetic_share(mix: Mapping[str, float]) -> float:
    """Return the share of a mix that is not photographs."""
    return round(sum(ratio for name, ratio in mix.items() if name != REAL), 6)


def _generations_said(config: RenderedConfig) -> int | None:
    said = _said(config)
    if said is None:
        return None
    term = said.get("digital_source_type", "algorithmicMedia")
    return {"algorithmicMedia": 0, "compositeSynthetic": 1}.get(str(term))


def _said(config: RenderedConfig) -> dict[str, Any] | None:
    """Return the group `dataset` of the config that a dataset was rendered with."""
    rendered = manifest_of(config).get("config")
    said = rendered.get("dataset") if isinstance(rendered, dict) else None
    return said if isinstance(said, dict) else None


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
