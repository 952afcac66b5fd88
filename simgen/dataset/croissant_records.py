"""The record sets of `croissant.json`: which field of a record is where, and of what type."""

from collections.abc import Iterable
from typing import Any

Json = dict[str, Any]

# mlcroissant 1.1.1 reads a file for one JSONPath only, so that coco.json stands there twice.
IMAGES_FILE, ANNOTATIONS_FILE = "coco-images", "coco-annotations"
IMAGES, CHECKSUMS_FILE = "image-files", "SHA256SUMS"

_INTEGER, _FLOAT, _TEXT, _BOOLEAN = "sc:Integer", "sc:Float", "sc:Text", "sc:Boolean"
_BOX = "cr:BoundingBox"
_XYWH = "x, y, width, height in pixels"


def record_sets(
    categories: Iterable[Json], *, polygons: bool, sizes_mm: Iterable[str]
) -> list[Json]:
    """Return the record sets `categories`, `images`, `annotations`, `image_files`, `files`.

    Args:
        categories: COCO's categories.
        polygons: Masks are polygons rather than run lengths.
        sizes_mm: Names that occur in `defect_mm`.
    """
    return [
        _categories(categories),
        _images(),
        _annotations(polygons=polygons, sizes_mm=sizes_mm),
        _image_files(),
        _files(),
    ]


def _categories(categories: Iterable[Json]) -> Json:
    names = (("id", _INTEGER), ("name", _TEXT), ("supercategory", _TEXT))
    return {
        **_set("categories", "What labels name; COCO's categories.", key="id"),
        "dataType": "sc:Enumeration",
        "field": [_field("categories", name, kind) for name, kind in names],
        "data": [{f"categories/{name}": c[name] for name, _ in names} for c in categories],
    }


def _images() -> Json:
    def of(name: str, kind: str, description: str) -> Json:
        source = _in_json(IMAGES_FILE, "$.images[*]", name)
        return _field("images", name, kind, description, source=source)

    return {
        **_set("images", "One record an image; COCO's images.", key="id"),
        "field": [
            of("id", _INTEGER, "frame + 1"),
            of("file_name", _TEXT, "Relative to the dataset."),
            of("width", _INTEGER, "In pixels."),
            of("height", _INTEGER, "In pixels."),
            of("license", _INTEGER, "Id in coco.json's licenses."),
            of("frame", _INTEGER, "Number from 0."),
            of("scene", _INTEGER, "Frames of one scene show the same parts."),
            of("view", _INTEGER, "Camera on the scene."),
            of("exposure", _INTEGER, "Exposure of the view."),
            of("part", _TEXT, "Names the physical scene: keep its images in one split."),
        ],
    }


def _annotations(*, polygons: bool, sizes_mm: Iterable[str]) -> Json:
    def of(name: str, kind: str | list[str], description: str, **more: Any) -> Json:
        path = name.replace("/", ".")
        source = _in_json(ANNOTATIONS_FILE, "$.annotations[*]", path)
        return _field("annotations", name, kind, description, source=source, **more)

    mask = "Visible pixels."
    if polygons:
        kinds = ["cr:SegmentationMask", _FLOAT]
        shape = {"isArray": True, "arrayShape": "-1,-1"}
        segmentation = of("segmentation", kinds, f"{mask} Polygons x0, y0, x1, ...", **shape)
    else:
        segmentation = {
            **_field("annotations", "segmentation", "cr:SegmentationMask", mask),
            "subField": [
                of("segmentation/size", _INTEGER, "Height, width.", isArray=True, arrayShape="2"),
                of("segmentation/counts", _TEXT, "COCO's compressed run lengths."),
            ],
        }
    fields = [
        of("id", _INTEGER, "frame * 10000 + j + 1"),
        of("image_id", _INTEGER, "id in images"),
        # `references` would say so, but mlcroissant 1.1.1 then yields empty records.
        of("category_id", [_INTEGER, "cr:Label"], "id in categories"),
        segmentation,
        of("area", _INTEGER, "Visible pixels."),
        of("bbox", _BOX, f"Of the visible pixels: {_XYWH}."),
        of("iscrowd", _INTEGER, "Always 0."),
        of("visibility", _FLOAT, "Visible over amodal pixels, in (0, 1]."),
        of("amodal_bbox", _BOX, f"As if nothing else were in the scene: {_XYWH}."),
        of("part_annotation_id", _INTEGER, "Defects: id of their part's annotation, or 0."),
        of("contrast", _FLOAT, "Defects: mean change against the clean twin over the noise."),
        of("contrast_ring", _FLOAT, "Defects: contrast against the surrounding ring."),
        of("missing_material", _BOOLEAN, "Defects: true where material was removed."),
    ]
    sizes = [of(f"defect_mm/{name}", _FLOAT, "In mm.") for name in sizes_mm]
    if sizes:
        sampled = _field("annotations", "defect_mm", None, "Defects: sampled sizes.")
        fields.append({**sampled, "subField": sizes})
    return {
        **_set("annotations", "One record a label; COCO's annotations.", key="id"),
        "field": fields,
    }


def _image_files() -> Json:
    def of(name: str, kind: str, description: str, part: str, **more: Any) -> Json:
        source = {"fileSet": {"@id": IMAGES}, "extract": {"fileProperty": part}}
        return _field("image_files", name, kind, description, source=source, **more)

    names = {"references": {"field": {"@id": "images/file_name"}}}
    return {
        **_set("image_files", "The images themselves.", key="path"),
        "field": [
            of("path", _TEXT, "file_name in images", "fullpath", **names),
            of("image", "sc:ImageObject", "Its pixels.", "content"),
        ],
    }


def _files() -> Json:
    def of(name: str, description: str, regex: str) -> Json:
        source = {
            "fileObject": {"@id": CHECKSUMS_FILE},
            "extract": {"fileProperty": "lines"},
            "transform": {"regex": regex},
        }
        return _field("files", name, _TEXT, description, source=source)

    return {
        **_set("files", "Every file of every shard, with its hash.", key="path"),
        "field": [
            of("path", "Relative to the dataset.", "^[0-9a-f]{64}  (.+)$"),
            of("sha256", "SHA-256, hexadecimal.", "^([0-9a-f]{64})  .+$"),
        ],
    }


def _set(name: str, description: str, *, key: str) -> Json:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": description,
        "key": {"@id": f"{name}/{key}"},
    }


def _field(
    record_set: str, name: str, kind: str | list[str] | None, description: str = "", **more: Any
) -> Json:
    found: Json = {"@type": "cr:Field", "@id": f"{record_set}/{name}", "name": name}
    found |= {"description": description} if description else {}
    found |= {"dataType": kind} if kind else {}
    return {**found, **more}


def _in_json(file: str, path: str, inner: str) -> Json:
    # The path yields whole records, because a path to a field would pass over records that
    # lack it, and pair the rest with others' fields.
    return {
        "fileObject": {"@id": file},
        "extract": {"jsonPath": path},
        "transform": {"jsonPath": inner},
    }
