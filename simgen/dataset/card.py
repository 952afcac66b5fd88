"""`card.md`: what a dataset is, what it was made with and what it must not be used for."""

from typing import Any


def card_text(manifest: dict[str, Any], instances: dict[str, int]) -> str:
    """Return the dataset card as Markdown.

    Args:
        manifest: The dataset's top manifest.
        instances: Number of annotations of each category, by name.
    """
    erased = manifest["erased"]
    supercategory = {c["name"]: c["supercategory"] for c in manifest["categories"]}
    rows = [
        f"| {name} | {supercategory[name]} | {count} | {erased.get(name, 0)} |"
        for name, count in instances.items()
    ]
    sections = [
        f"# {manifest['name']}",
        _purpose(manifest),
        f"Computer-generated images: {manifest['frames']} frames of scene `{manifest['scene']}`,"
        f" seed {manifest['seed']}, config SHA-256 `{manifest['config_sha256']}`."
        f" Licence of images and labels: {manifest['licence']}.",
        "## Instances",
        "\n".join(["| category | is a | labelled | erased |", "| --- | --- | --- | --- |", *rows]),
        "*Erased*: defects that fell below `labels.min_contrast` were removed from the image as"
        " well as from the labels, so that nothing visible is unlabelled and nothing labelled is"
        " invisible.",
        "## Made with",
        _list([_made_with_line(made) for made in manifest["made_with"]]),
        "## Assets",
        _list(_asset_lines(manifest)),
        "## Not for",
        _list(
            [
                "Measuring how well a detector does on real parts: only real photographs that no"
                " training source has seen can tell.",
                "Estimating how often a defect occurs: frequencies and sizes are drawn from ranges"
                " in the config, not from a production line.",
                "Accepting or rejecting parts on its own: a model trained on it needs an evaluation"
                " on real parts first.",
            ]
        ),
    ]
    return "\n\n".join(sections) + "\n"


def _purpose(manifest: dict[str, Any]) -> str:
    return manifest["purpose"] or (
        "Labelled training images for a detector where photographs of defects are too few."
    )


def _made_with_line(made: dict[str, Any]) -> str:
    renderer = [f"{k}: {v}" for k, v in made["renderer"].items() if k != "assets"]
    found = dict(made["versions"])
    features = " ".join(str(name) for name in found.pop("cpu_features", ()))
    versions = [f"{k} {v}" for k, v in found.items()]
    return ", ".join(renderer + versions) + (f" ({features})" if features else "")


def _asset_lines(manifest: dict[str, Any]) -> list[str]:
    lines = [
        f"`{a['path']}`: {a['spdx']}, {a['source']}, SHA-256 `{a['sha256']}`"
        for a in manifest["assets"]
    ]
    return lines or ["None: shapes, finishes and surroundings are procedural."]


def _list(lines: list[str]) -> str:
    return "\n".join(f"* {line}" for line in lines)
