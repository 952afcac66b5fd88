"""What the `dataset` group of a render's config says: the card, and nothing of any frame."""

import datetime
import re
from dataclasses import dataclass, field
from typing import Literal

from simgen.errors import ConfigError

# Semantic Versioning 2.0.0, which Croissant asks for.
_VERSION = re.compile(
    r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?"
)
_URL = re.compile(r"https?://[^\s\"<>\\^`{|}]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class BottleneckConfig:
    """What real data lacks: the slice of an evaluation, and why it is one."""

    slice: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetConfig:
    """What card and Croissant file say, and which licences of assets are accepted by name.

    Nothing in here changes a pixel or a label; a dataset goes on with other values.

    Attributes:
        name: Of all versions of the dataset.
        licence: SPDX identifier for images and labels.
        version: MAJOR.MINOR.PATCH.
        purpose: One sentence.
        bottleneck: What of the real data this dataset is made for.
        not_for: Uses to warn of, besides those that no rendered dataset is for.
        parent: Folder or URL of the version before, for the list of changes.
        date: Of publication, YYYY-MM-DD; never a clock's.
        creator: The organization that answers for it.
        url: Its page.
        digital_source_type: IPTC's term; `compositeSynthetic` if a scene reads photographs.
        allow_licences: SPDX names.
    """

    name: str = ""
    licence: str = "CC0-1.0"
    version: str = "1.0.0"
    purpose: str = ""
    bottleneck: BottleneckConfig = field(default_factory=BottleneckConfig)
    not_for: tuple[str, ...] = ()
    parent: str = ""
    date: str = ""
    creator: str = ""
    url: str = ""
    digital_source_type: Literal["algorithmicMedia", "compositeSynthetic"] = "algorithmicMedia"
    allow_licences: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _VERSION.fullmatch(self.version):
            raise ConfigError(
                f"dataset.version: {self.version[:40]!r} is not MAJOR.MINOR.PATCH; write 1.0.0"
            )
        if self.date and not _is_date(self.date):
            raise ConfigError(f"dataset.date: {self.date[:40]!r} is no date; write YYYY-MM-DD")
        if self.url and not _URL.fullmatch(self.url):
            raise ConfigError(
                f"dataset.url: {self.url[:40]!r} is no web address; write https://..."
            )


def _is_date(text: str) -> bool:
    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
