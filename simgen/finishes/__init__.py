"""How surfaces look before anything happened to them."""

from simgen.finishes.kinds import (
    FINISH_VALUES,
    FINISHES,
    MAY_BE_ZERO,
    OVERLAY_VALUES,
    bake_finish,
)
from simgen.finishes.layers import Layers, Maps, pack, patched, to_maps

__all__ = [
    "FINISHES",
    "FINISH_VALUES",
    "MAY_BE_ZERO",
    "OVERLAY_VALUES",
    "Layers",
    "Maps",
    "bake_finish",
    "pack",
    "patched",
    "to_maps",
]
