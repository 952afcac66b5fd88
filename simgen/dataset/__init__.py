"""Datasets on disk: shards, what is derived from them, and checks."""

from simgen.dataset.contact_sheet import write_contact_sheet
from simgen.dataset.finish import finish_dataset
from simgen.dataset.prepare import prepare_dataset, shard_style
from simgen.dataset.shards import ShardRange, plan_shards, read_shards, sweep_attempts, write_shard
from simgen.dataset.versions import versions

__all__ = [
    "ShardRange",
    "finish_dataset",
    "plan_shards",
    "prepare_dataset",
    "read_shards",
    "shard_style",
    "sweep_attempts",
    "versions",
    "write_contact_sheet",
    "write_shard",
]
