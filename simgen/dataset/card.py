"""`card.md`: what a dataset is, what it was made with and what it must not be used for."""

from collections.abc import Sequence
from typing import Any

from simgen.dataset.compare import Change
from simgen.dataset.facts import (
    Facts,
    attributions,
    bottleneck,
    contents,
    generations,
    limits,
    not_for,
    purpose,
    source_type,
)
from simgen.dataset.markdown import bullets, code, plain, table

_SHOWN = 40
_LETTERS = 120
# Where a dataset went, how it got there and what its card says is no change of it.
_ASIDE = ("out", "frames", "workers", "shard_size", "executor", "dataset")


def card_text(facts: Facts) -> str:
    """Return the dataset card as Markdown, in which texts of the config stay plain text."""
    version = facts.config.dataset.version
    sections = [
        f"# {plain(facts.name)} {plain(version)}",
        plain(purpose(facts)),
        bullets(_summary(facts)),
        "## Must not be used",
        bullets(plain(line) for line in not_for(facts)),
        "## Labels",
        _label_table(facts.manifest),
        "## Known limits",
        bullets(plain(line) for line in limits(facts)),
        "## Assets and their licences",
        _asset_table(facts),
        *_since(facts),
        "## Make it again",
        _again(facts),
        "## Made with",
        bullets(_made_with_line(made) for made in facts.manifest["made_with"]),
    ]
    return "\n\n".join(sections) + "\n"


def _summary(facts: Facts) -> list[str]:
    dataset, lack = facts.config.dataset, bottleneck(facts)
    term = source_type(facts)
    lines = [f"**What**: {plain(contents(facts))}."]
    if lack:
        lines.append(f"**Bottleneck** it is made for: {plain(lack)}.")
    lines += [
        f"**Licence** of images and labels: {plain(dataset.licence)}.",
        f"**Digital source type** (IPTC): [{term.rpartition('/')[2]}]({term}).",
        f"**Generations from a camera**: {plain(generations(facts))}",
        f"**Scene** {code(facts.config.scene_name)}, seed {facts.config.seed}, config SHA-256"
        f" {code(facts.manifest['config_sha256'])}.",
    ]
    for title, value in (
        ("Creator", dataset.creator), ("Published", dataset.date), ("Page", dataset.url),
    ):  # fmt: skip
        lines += [f"**{title}**: {plain(value)}"] if value else []
    return lines


def _label_table(manifest: dict[str, Any]) -> str:
    erased, instances = manifest["erased"], manifest["instances"]
    return table(
        ("category", "is a", "labelled", "erased"),
        [
            (plain(c["name"]), c["supercategory"], str(instances[c["name"]]),
             str(erased.get(c["name"], 0)))
            for c in manifest["categories"]
        ],
    )  # fmt: skip


def _asset_table(facts: Facts) -> str:
    if not facts.assets:
        return "None: shapes, finishes and surroundings are procedural."
    rows = [(code(a.path), plain(a.spdx), plain(a.source), code(a.sha256)) for a, _ in facts.assets]
    owed = bullets(plain(line) for line in attributions(facts))
    listed = table(("file", "licence (SPDX)", "source", "SHA-256"), rows)
    return f"{listed}\n\n{owed}" if owed else listed


def _since(facts: Facts) -> list[str]:
    parent, changes = facts.parent, facts.changes
    if parent is None or changes is None:
        return []
    before = parent.manifest
    config = [
        change for change in changes.config
        if change.key.split(".")[0] not in _ASIDE and change.key != "renderer.allow_software"
    ]  # fmt: skip
    lines = [f"Frames: {before.frames} → {facts.manifest['frames']}"]
    if changes.labels:
        lines.append(f"Labels: {_changes(changes.labels)}")
    elif not before.instances:
        lines.append("Labels: the parent's manifest does not count them")
    else:
        lines.append("Labels: as many of each category")
    for title, changed in (
        ("Config", config), ("Driver and versions", changes.made_with),
        ("Assets", changes.assets), ("Categories", changes.categories),
    ):  # fmt: skip
        lines.append(f"{title}: {_changes(changed) if changed else 'the same'}")
    return [
        f"## Changed since {plain(before.name[:_LETTERS])} {plain(before.version[:_LETTERS])}",
        f"Its manifest has SHA-256 {code(parent.manifest_sha256)}. `python -m simgen diff`"
        " also compares what was drawn.",
        bullets(lines),
    ]


def _changes(changes: Sequence[Change]) -> str:
    shown = [
        f"{plain(c.key[:_LETTERS])}: {plain(c.before[:_LETTERS])} → {plain(c.after[:_LETTERS])}"
        for c in changes[:_SHOWN]
    ]
    more = [f"and {len(changes) - _SHOWN} more"] if len(changes) > _SHOWN else []
    return "; ".join(shown + more)


def _again(facts: Facts) -> str:
    parent = " dataset.parent=" if facts.config.dataset.parent else ""
    needed = [code(asset.path) for asset, _ in facts.assets]
    versions = sorted({str(m["versions"].get("simgen", "?")) for m in facts.manifest["made_with"]})
    files = f"It reads {', '.join(needed)} where they were named. " if needed else ""
    return (
        "```sh\n"
        "mkdir again && cp config.yaml again/render.yaml\n"
        f"python -m simgen render --config-dir again out=again/dataset{parent}\n"
        "```\n\n"
        f"{files}With simgen {plain(', '.join(versions))} and what else is listed under *Made with*"
        " the images are the same bytes, otherwise the same scenes. `sha256sum --check"
        " SHA256SUMS` verifies this copy, `python -m simgen check` also its labels."
    )


def _made_with_line(made: dict[str, Any]) -> str:
    renderer = [f"{k}: {v}" for k, v in made["renderer"].items() if k != "assets"]
    found = dict(made["versions"])
    features = " ".join(str(name) for name in found.pop("cpu_features", ()))
    versions = [f"{k} {v}" for k, v in found.items()]
    return plain(", ".join(renderer + versions) + (f" ({features})" if features else ""))
