"""Parquet: a table of images and one of annotations, typed, in row groups."""

import json
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as rle

from simgen.dataset.segmentation import decode_mask
from simgen.errors import ConfigError
from simgen.export.folder import Images, put_image
from simgen.export.note import provenance
from simgen.export.source import ExportFrame, Source
from simgen.export.split import Split, side_of

# A row group is what a reader loads at once; so many rows, or less where masks are long.
_ROWS = 5_000
_CHARACTERS = 32 << 20
_KNOWN = {
    *("id", "image_id", "category_id", "iscrowd", "bbox", "area", "segmentation"),
    *("visibility", "amodal_bbox", "part_annotation_id", "defect_mm", "contrast"),
    *("contrast_ring", "missing_material"),
}


def require_pyarrow() -> None:
    """Check that pyarrow is installed.

    Raises:
        ConfigError: It is not.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise ConfigError('format=parquet: needs pyarrow; pip install "simgen[export]"') from None


def write_parquet(
    source: Source, frames: Iterable[ExportFrame], folder: Path, split: Split, *, images: Images
) -> dict[str, Any]:
    """Write images.parquet and annotations.parquet, a pair a side, and the images.

    Masks are RLE whatever the dataset has. Where an annotation comes from is joined in
    (frame, category), so that one table answers most questions.
    """
    if images != "none":
        (folder / "images").mkdir()
    metadata = {k: json.dumps(v) for k, v in provenance(source).items()}
    metadata["categories"] = json.dumps(
        [[c.id, c.name, c.supercategory] for c in source.manifest.categories]
    )
    metadata["assets"] = json.dumps(list(source.manifest.assets))
    labels = 0
    with ExitStack() as stack:
        tables = {}
        for side in split.sides:
            end = f"-{side}.parquet" if split.share is not None else ".parquet"
            tables[side] = (
                _Table(stack, folder / f"images{end}", _image_schema(metadata)),
                _Table(stack, folder / f"annotations{end}", _annotation_schema(metadata)),
            )
        for frame in frames:
            put_image(frame, folder / "images" / frame.name, images)
            pictures, annotations = tables[side_of(frame.image["scene"], split.share)]
            pictures.add(_image_row(frame, source, images))
            for annotation in frame.annotations:
                annotations.add(_annotation_row(annotation, frame, source))
            labels += len(frame.annotations)
        for pair in tables.values():
            for table in pair:
                table.flush()
    return {"labels": labels}


def _image_row(frame: ExportFrame, source: Source, images: Images) -> dict[str, Any]:
    stored = frame.picture.path.relative_to(source.folder).as_posix()
    image = frame.image
    return {
        **{k: image[k] for k in ("id", "frame", "scene", "view", "exposure", "part")},
        **{k: image[k] for k in ("width", "height")},
        "file_name": stored if images == "none" else f"images/{frame.name}",
        "sha256": frame.picture.sha256,
        "erased": list(frame.erased.items()),
    }


def _annotation_row(
    annotation: dict[str, Any], frame: ExportFrame, source: Source
) -> dict[str, Any]:
    category = source.manifest.categories[annotation["category_id"] - 1]
    further = {k: v for k, v in annotation.items() if k not in _KNOWN}
    part = annotation.get("part_annotation_id")
    missing = annotation.get("missing_material")
    try:
        sizes = [(k, float(v)) for k, v in annotation.get("defect_mm", {}).items()]
        counts = _counts(annotation["segmentation"], frame.image["height"], frame.image["width"])
    except ValueError as error:
        raise frame.damaged(f"annotation {annotation['id']}: {error}") from None
    return {
        "id": annotation["id"],
        "image_id": annotation["image_id"],
        "frame": frame.number,
        "category_id": category.id,
        "category": category.name,
        "supercategory": category.supercategory,
        "bbox": [float(v) for v in annotation["bbox"]],
        "area": float(annotation["area"]),
        "iscrowd": int(annotation.get("iscrowd") == 1),
        "visibility": float(annotation["visibility"]),
        "amodal_bbox": [float(v) for v in annotation["amodal_bbox"]],
        "rle_size": [frame.image["height"], frame.image["width"]],
        "rle_counts": counts,
        "part_annotation_id": part,
        "defect_mm": sizes if category.supercategory == "defect" else None,
        "contrast": _number(annotation.get("contrast")),
        "contrast_ring": _number(annotation.get("contrast_ring")),
        "missing_material": bool(missing) if missing is not None else None,
        "attributes": json.dumps(further, sort_keys=True) if further else None,
    }


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _counts(segmentation: Any, height: int, width: int) -> str:
    """Return a mask as compressed RLE; one that is already comes back as it is."""
    mask = decode_mask(segmentation, height, width)
    if isinstance(segmentation, dict) and isinstance(segmentation["counts"], str):
        return segmentation["counts"]
    packed: str = rle.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"].decode()
    return packed


class _Table:
    """A Parquet file that is written a row group at a time."""

    def __init__(self, stack: ExitStack, path: Path, schema: Any) -> None:
        import pyarrow.parquet as parquet

        # Opened here, so that a full disk is the same error as everywhere.
        file = stack.enter_context(path.open("wb"))
        self._schema = schema
        self._writer = stack.enter_context(
            parquet.ParquetWriter(file, schema, compression="zstd", version="2.6")
        )
        self._rows: list[dict[str, Any]] = []
        self._characters = 0

    def add(self, row: dict[str, Any]) -> None:
        self._rows.append(row)
        self._characters += len(row.get("rle_counts", ""))
        if len(self._rows) == _ROWS or self._characters > _CHARACTERS:
            self.flush()

    def flush(self) -> None:
        import pyarrow

        if self._rows:
            table = pyarrow.Table.from_pylist(self._rows, schema=self._schema)
            self._writer.write_table(table, row_group_size=_ROWS)
            self._rows.clear()
            self._characters = 0


def _image_schema(metadata: dict[str, str]) -> Any:
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("id", pa.int64(), nullable=False),
            pa.field("frame", pa.int64(), nullable=False),
            pa.field("scene", pa.int64(), nullable=False),
            pa.field("view", pa.int32(), nullable=False),
            pa.field("exposure", pa.int32(), nullable=False),
            pa.field("part", pa.string(), nullable=False),
            pa.field("width", pa.int32(), nullable=False),
            pa.field("height", pa.int32(), nullable=False),
            pa.field("file_name", pa.string(), nullable=False),
            pa.field("sha256", pa.string(), nullable=False),
            pa.field("erased", pa.map_(pa.string(), pa.int32()), nullable=False),
        ],
        metadata=metadata,
    )


def _annotation_schema(metadata: dict[str, str]) -> Any:
    import pyarrow as pa

    name = pa.dictionary(pa.int32(), pa.string())
    return pa.schema(
        [
            pa.field("id", pa.int64(), nullable=False),
            pa.field("image_id", pa.int64(), nullable=False),
            pa.field("frame", pa.int64(), nullable=False),
            pa.field("category_id", pa.int32(), nullable=False),
            pa.field("category", name, nullable=False),
            pa.field("supercategory", name, nullable=False),
            pa.field("bbox", pa.list_(pa.float64(), 4), nullable=False),
            pa.field("area", pa.float64(), nullable=False),
            pa.field("iscrowd", pa.int8(), nullable=False),
            pa.field("visibility", pa.float64(), nullable=False),
            pa.field("amodal_bbox", pa.list_(pa.float64(), 4), nullable=False),
            pa.field("rle_size", pa.list_(pa.int32(), 2), nullable=False),
            pa.field("rle_counts", pa.string(), nullable=False),
            pa.field("part_annotation_id", pa.int64()),
            pa.field("defect_mm", pa.map_(pa.string(), pa.float64())),
            pa.field("contrast", pa.float64()),
            pa.field("contrast_ring", pa.float64()),
            pa.field("missing_material", pa.bool_()),
            pa.field("attributes", pa.string()),
        ],
        metadata=metadata,
    )
