"""A stroke font of our own for engraved marks: capitals, digits and a few signs."""

from collections.abc import Iterator

# Strokes of a glyph apart by "|", points by spaces: column 0 to 4 and row 0 to 6, up.
_GLYPHS = {
    "0": "10 30 41 45 36 16 05 01 10",
    "1": "15 26 20|10 30",
    "2": "05 16 36 45 44 00 40",
    "3": "05 16 36 45 44 33 13|33 42 41 30 10 01",
    "4": "30 36 02 42",
    "5": "46 06 04 34 43 41 30 10 01",
    "6": "45 36 16 05 01 10 30 41 42 33 13 02",
    "7": "06 46 20",
    "8": "13 04 05 16 36 45 44 33 13 02 01 10 30 41 42 33",
    "9": "01 10 30 41 45 36 16 05 04 13 33 44",
    "A": "00 26 40|12 32",
    "B": "33 44 45 36 06 00 30 41 42 33 03",
    "C": "45 36 16 05 01 10 30 41",
    "D": "00 06 26 44 42 20 00",
    "E": "46 06 00 40|03 33",
    "F": "46 06 00|03 33",
    "G": "45 36 16 05 01 10 30 41 43 23",
    "H": "00 06|40 46|03 43",
    "J": "46 41 30 10 01",
    "K": "00 06|46 03 40",
    "L": "06 00 40",
    "M": "00 06 23 46 40",
    "N": "00 06 40 46",
    "P": "00 06 36 45 44 33 03",
    "R": "00 06 36 45 44 33 03|23 40",
    "S": "45 36 16 05 04 13 33 42 41 30 10 01",
    "T": "06 46|26 20",
    "U": "06 01 10 30 41 46",
    "V": "06 20 46",
    "X": "00 46|06 40",
    "Z": "06 46 00 40",
    "-": "13 33",
    "/": "00 46",
}
LETTERS = "".join(sorted(g for g in _GLYPHS if g.isalpha()))
DIGITS = "0123456789"


def strokes(text: str, height_mm: float) -> Iterator[list[tuple[float, float]]]:
    """Yield the strokes of a line of text centred on the origin, points (u, v) in mm.

    Signs that the font lacks leave a gap.
    """
    unit = height_mm / 6
    shift = (6 * len(text) - 2) / 2
    for place, sign in enumerate(text):
        for stroke in _GLYPHS.get(sign, "").split("|"):
            if stroke:
                yield [
                    ((6 * place + int(p[0]) - shift) * unit, (int(p[1]) - 3) * unit)
                    for p in stroke.split()
                ]
