"""How surfaces look before anything happened to them."""

from simgen.finishes.kinds import FINISH_VALUES, FINISHES, bake_finish
from simgen.finishes.layers import Layers, Maps, pack, patched, to_maps, uniform_layers

__all__ = [
    "FINISHES",
    "FINISH_VALUES",
    "Layers",
    "Maps",
    "bake_finish",
    "pack",
    "patched",
    "to_maps",
    "uniform_layers",
]
