"""Datasets on disk: shards, what is derived from them, and checks."""

from simgen.dataset.contact_sheet import write_contact_sheet
from simgen.dataset.finish import finish_dataset
from simgen.dataset.prepare import prepare_dataset, shard_style
from simgen.dataset.shards import (
    ShardRange,
    committed_ranges,
    missing_shards,
    plan_shards,
    read_shards,
    sweep_attempts,
    write_shard,
)
from simgen.dataset.storage import Storage, local_copy, open_storage
from simgen.dataset.versions import versions

__all__ = [
    "ShardRange",
    "Storage",
    "committed_ranges",
    "finish_dataset",
    "local_copy",
    "missing_shards",
    "open_storage",
    "plan_shards",
    "prepare_dataset",
    "read_shards",
    "shard_style",
    "sweep_attempts",
    "versions",
    "write_contact_sheet",
    "write_shard",
]
