"""Import ultralytics without its network, its installer, or a trace in the user's home."""

import logging
import os
import shutil
import types
from pathlib import Path

from PIL import Image

from simgen.train.extras import require_yolo
from simgen.train.torchvision_compat import import_torchvision
from simgen.train.weights import cache_folder


def import_ultralytics() -> types.ModuleType:
    """Return ultralytics, prepared to work offline beside any torch.

    Raises:
        ConfigError: The extra `yolo` is not installed.
    """
    require_yolo()
    folder = Path(os.environ.setdefault("YOLO_CONFIG_DIR", str(cache_folder() / "ultralytics")))
    os.environ.setdefault("YOLO_OFFLINE", "true")
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    os.environ.setdefault("YOLO_VERBOSE", "false")
    _seed_font(folder / "Ultralytics")
    # Read once, when torch is loaded. Threads that spin while they wait lose most of their
    # time as soon as another process wants a core: training was three times as slow.
    before = {name: os.environ.get(name) for name in ("OMP_WAIT_POLICY", "OMP_NUM_THREADS")}
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    open_image = Image.open
    try:
        import_torchvision()
        import ultralytics
    finally:
        # Ultralytics puts its own over Pillow's, which answers an unreadable file with a search
        # for a plugin's package; the rest of this process relies on Pillow's exceptions.
        Image.open = open_image
        # Ultralytics sets one thread for this process and its children; the trainer decides.
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
    logging.getLogger("ultralytics").setLevel(logging.ERROR)
    return ultralytics


def _seed_font(folder: Path) -> None:
    """Put a font where Ultralytics would download one to."""
    target = folder / "Arial.ttf"
    if target.is_file():
        return
    try:
        import matplotlib

        font = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(font, target)
    except (ImportError, OSError):
        return  # Only its own plots need a font, and we draw none with it.
