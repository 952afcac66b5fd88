"""The only reader of the holdout, and its log."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from simgen.errors import ConfigError, DatasetError
from simgen.train.images import Source
from simgen.train.real import RealConfig, check_splits, load_real, read_split


def load_for_evaluation(
    config: RealConfig,
    split: str,
    rename: Mapping[str, str],
    *,
    log: Path,
    purpose: Mapping[str, Any],
) -> Source:
    """Return the photographs to judge by; a reading of the holdout is logged before it happens.

    Args:
        config: Where they are.
        split: `val` or `holdout`.
        rename: Category names of the set to ours.
        log: JSON lines file of the holdout's readings.
        purpose: What the reading is for, added to its line.

    Raises:
        ConfigError: The log cannot be written; without it the holdout stays closed.
        DatasetError: See `simgen.train.real`.
    """
    if split == "val":
        return load_real(config, "val", rename)
    if split != "holdout":
        raise DatasetError(f"evaluate.split: {split!r} is not val or holdout")
    check_splits(config)
    line = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),  # noqa: TID251 - a log of when
        **_what(config, purpose),
    }
    if log.exists() and not log.is_file():
        raise ConfigError(f"evaluate.holdout_log: {log} is not a regular file; choose another file")
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as stream:
            stream.write(json.dumps(line) + "\n")
    except OSError as error:
        raise ConfigError(
            f"evaluate.holdout_log: {log} cannot be written ({error.strerror}); choose another file"
        ) from None
    return read_split(config, "holdout", rename)


def readings_before(log: Path, config: RealConfig, purpose: Mapping[str, Any]) -> int:
    """Return for how many other purposes a holdout was read before it was first for this one.

    Args:
        log, config, purpose: As for `load_for_evaluation`.
    """
    this = json.loads(json.dumps(_what(config, purpose)))
    others: list[dict[str, Any]] = []
    for text in log.read_text().splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        said = {k: v for k, v in line.items() if k != "time"}
        if said == this:
            break
        same_set = said.get("holdout_json_sha256") == this["holdout_json_sha256"]
        if same_set and said not in others:
            others.append(said)
    return len(others)


def _what(config: RealConfig, purpose: Mapping[str, Any]) -> dict[str, Any]:
    file = config.folder / "holdout.json"
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    return {"set": config.set, "holdout_json_sha256": sha256, **purpose}


def refuse_shared_photographs(judged: Source, trained_on: Mapping[str, str]) -> None:
    """Check that no photograph that judges was trained on, by the content of its pixels.

    Args:
        judged: What judges.
        trained_on: Content hash of every training picture, and the file to name.

    Raises:
        DatasetError: One was.
    """
    for image in judged.images:
        twin = trained_on.get(image.content_sha256)
        if twin is not None:
            raise DatasetError(
                f"{image.file} is the same picture as {twin}, which is trained on; remove one"
            )
