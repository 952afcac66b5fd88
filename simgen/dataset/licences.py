"""SPDX licence expressions: may a dataset be made with a file, and what does it owe then?"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# What a user states of a file that is theirs.
OWN_LICENCE = "LicenseRef-Own"
# SPDX identifiers of licences that allow any use of images made with the file.
FREE_LICENCES = frozenset(
    (
        OWN_LICENCE,
        *("0BSD", "Apache-2.0", "BlueOak-1.0.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0"),
        *("CC-BY-2.0", "CC-BY-2.5", "CC-BY-3.0", "CC-BY-4.0", "CC-PDDC", "CC0-1.0"),
        *("CC-BY-SA-2.0", "CC-BY-SA-2.5", "CC-BY-SA-3.0", "CC-BY-SA-4.0"),
        *("CDLA-Permissive-1.0", "CDLA-Permissive-2.0", "CDLA-Sharing-1.0"),
        *("CERN-OHL-P-2.0", "CERN-OHL-S-2.0", "CERN-OHL-W-2.0", "ISC", "MIT", "MIT-0"),
        *("GPL-2.0-only", "GPL-2.0-or-later", "GPL-3.0-only", "GPL-3.0-or-later"),
        *("LGPL-2.1-only", "LGPL-2.1-or-later", "LGPL-3.0-only", "LGPL-3.0-or-later", "MPL-2.0"),
        *("ODbL-1.0", "ODC-By-1.0", "OFL-1.1", "PDDL-1.0", "Unlicense", "Zlib"),
    )
)
_FREE = {name.lower(): name for name in FREE_LICENCES}
_LIMITED = re.compile(r"(^|-)(nc|nd)(-|$)|noncommercial|non-commercial|^busl-", re.IGNORECASE)
_ATTRIBUTION = ("cc-by-", "odc-by-", "odbl-")
_SHARE_ALIKE = ("cc-by-sa-", "cc-by-nc-sa-", "odbl-", "gpl-", "cern-ohl-s-", "cdla-sharing-")
_WORDS = re.compile(r"\s*([()]|[A-Za-z0-9.+:-]+)")
_DEEPEST = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a licence expression comes to.

    Attributes:
        refused: Names of licences that stand in the way; none if the file may be used.
        by_name: Names that are not known as free and were accepted by name.
        attribution: Names that ask for the author to be named.
        share_alike: Names that may ask for derived works to be shared alike.
    """

    refused: tuple[str, ...] = ()
    by_name: tuple[str, ...] = ()
    attribution: tuple[str, ...] = ()
    share_alike: tuple[str, ...] = ()

    def __add__(self, other: "Terms") -> "Terms":
        """Return the terms of both together."""
        return Terms(
            refused=_union(self.refused, other.refused),
            by_name=_union(self.by_name, other.by_name),
            attribution=_union(self.attribution, other.attribution),
            share_alike=_union(self.share_alike, other.share_alike),
        )

    def burden(self) -> tuple[int, ...]:
        """Return a key that sorts the lightest terms first."""
        lists = (self.refused, self.by_name, self.share_alike, self.attribution)
        return tuple(len(names) for names in lists)


def terms_of(expression: str, allowed: Iterable[str] = ()) -> Terms:
    """Return what an SPDX expression comes to; of alternatives (OR) the lightest.

    Args:
        expression: `MIT`, `CC-BY-4.0 AND (MIT OR Apache-2.0)`, `GPL-2.0-only WITH
            Font-exception-2.0`; an exception only ever allows more. What is none counts as
            the name of a licence that is not known.
        allowed: Names that are accepted whatever they say, a licence's or the expression's.
    """
    accepted = {" ".join(name.split()).lower() for name in allowed}
    expression = " ".join(expression.split())
    if not expression:
        return Terms(refused=("",))
    try:
        words = list(_words(expression))
        terms, rest = _alternatives(words, 0, accepted, 0)
        if rest != len(words):
            raise ValueError("more than one expression")
    except ValueError:
        terms = _terms_of_one(expression, accepted)
    if terms.refused and expression.lower() in accepted:
        return Terms(
            by_name=_union(terms.by_name, terms.refused),
            attribution=terms.attribution,
            share_alike=terms.share_alike,
        )
    return terms


def is_limited(name: str) -> bool:
    """Return whether a licence is known to limit commercial use or derived works."""
    return bool(_LIMITED.search(name))


def joined(licences: object) -> object:
    """Return a list of licences as one expression, all of which hold; anything else as it is."""
    if not isinstance(licences, (list, tuple)) or not all(isinstance(x, str) for x in licences):
        return licences
    texts = [" ".join(text.split()) for text in licences]
    return " AND ".join(f"({t})" if " " in t and len(texts) > 1 else t for t in texts)


def spdx_url(name: str) -> str | None:
    """Return SPDX's page of one licence, None for an expression or a name of someone's own."""
    known = _FREE.get(name.lower())
    if known is not None and not known.startswith("LicenseRef-"):
        return f"https://spdx.org/licenses/{known}"
    return None


def _words(text: str) -> Iterator[str]:
    position = 0
    while position < len(text):
        match = _WORDS.match(text, position)
        if match is None:
            raise ValueError("no SPDX expression")
        yield match.group(1)
        position = match.end()


def _alternatives(words: list[str], at: int, allowed: set[str], depth: int) -> tuple[Terms, int]:
    terms, at = _all_of(words, at, allowed, depth)
    while at < len(words) and words[at].upper() == "OR":
        other, at = _all_of(words, at + 1, allowed, depth)
        terms = min(terms, other, key=Terms.burden)
    return terms, at


def _all_of(words: list[str], at: int, allowed: set[str], depth: int) -> tuple[Terms, int]:
    terms, at = _operand(words, at, allowed, depth)
    while at < len(words) and words[at].upper() == "AND":
        other, at = _operand(words, at + 1, allowed, depth)
        terms = terms + other
    return terms, at


def _operand(words: list[str], at: int, allowed: set[str], depth: int) -> tuple[Terms, int]:
    if at == len(words) or words[at].upper() in (")", "AND", "OR", "WITH") or depth > _DEEPEST:
        raise ValueError("no SPDX expression")
    if words[at] == "(":
        terms, at = _alternatives(words, at + 1, allowed, depth + 1)
        if at == len(words) or words[at] != ")":
            raise ValueError("no SPDX expression")
        return terms, at + 1
    name, at = words[at], at + 1
    if at < len(words) and words[at].upper() == "WITH":
        if at + 1 == len(words) or words[at + 1] in "()":
            raise ValueError("no SPDX expression")
        if f"{name} with {words[at + 1]}".lower() in allowed:
            allowed = allowed | {name.lower()}
        at += 2
    return _terms_of_one(name, allowed), at


def _terms_of_one(name: str, allowed: set[str]) -> Terms:
    # `+` says "or later": what the version named allows is allowed.
    low = name.lower().removesuffix("+")
    # The identifiers of SPDX before 3.0.
    low = f"{low}-only" if re.fullmatch(r"l?gpl-[0-9.]+", low) else low
    free = low in _FREE
    accepted = free or name.lower() in allowed or low in allowed
    return Terms(
        refused=() if accepted else (name,),
        by_name=(name,) if accepted and not free else (),
        attribution=(name,) if low.startswith(_ATTRIBUTION) else (),
        share_alike=(name,) if low.removeprefix("l").startswith(_SHARE_ALIKE) else (),
    )


def _union(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))
