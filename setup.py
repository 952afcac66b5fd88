"""Adds conf, scenes and assets to the wheel, as simgen/_data; all else is in pyproject.toml.

They stand at the top of the repository, where users look for them, and inside the package
once it is installed, where `simgen.config.data_folder` looks for them.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithData(build_py):
    """Copies the data folders next to the built package."""

    def run(self) -> None:
        """Build, then copy; an editable install reads the folders where they are."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / "simgen" / "_data"
        for name in ("conf", "scenes", "assets"):
            shutil.rmtree(target / name, ignore_errors=True)
            skip = shutil.ignore_patterns("__pycache__", "*.pyc")
            shutil.copytree(name, target / name, ignore=skip)


setup(cmdclass={"build_py": BuildWithData})
