"""Datasets in the formats of others, read from their shards one frame at a time."""

from simgen.export.formats import FORMATS, Exported, ExportOptions, export_dataset

__all__ = ["FORMATS", "ExportOptions", "Exported", "export_dataset"]
