"""Where conf, scenes and assets are: one resolver for the checkout and the wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def data_folder(name: str) -> Path:
    """Return the folder `conf`, `scenes` or `assets` that this installation ships."""
    in_wheel = _PACKAGE / "_data" / name
    return in_wheel if in_wheel.is_dir() else _PACKAGE.parent / name


def scene_file(name: str) -> Path | None:
    """Return the file of scene `name`, the user's `./scenes` before our own, or None."""
    for folder in (Path.cwd() / "scenes", data_folder("scenes")):
        path = folder / f"{name}.py"
        if path.is_file():
            return path
    return None


def scene_names() -> list[str]:
    """Return the names of all scenes that `scene_file` finds, sorted."""
    folders = (Path.cwd() / "scenes", data_folder("scenes"))
    names = {p.stem for folder in folders if folder.is_dir() for p in folder.glob("*.py")}
    return sorted(n for n in names if not n.startswith("_"))


def kind_file(name: str) -> Path | None:
    """Return the file of the user's own defect kind `name` in `./defects`, or None."""
    path = Path.cwd() / "defects" / f"{name}.py"
    return path if name.isidentifier() and path.is_file() else None


def kind_names() -> list[str]:
    """Return the names of all kinds that `kind_file` finds, sorted."""
    folder = Path.cwd() / "defects"
    return sorted(p.stem for p in folder.glob("*.py") if not p.stem.startswith("_"))
