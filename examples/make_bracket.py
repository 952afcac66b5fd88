"""Write `assets/bracket.step`: an angle bracket as exact surfaces, without a CAD kernel.

    python examples/make_bracket.py [FILE]

Sheet of 4 mm bent to an angle, two holes in the long leg and one in the short. The
outer and inner faces of both legs carry colours, which a zone can name. The file is
ISO 10303-21 text (AP214) of planes, cylinders, lines and circles, in mm.
"""

import math
import sys
from pathlib import Path

LEG_A, LEG_B, WIDTH, THICK, INNER = 60.0, 42.0, 36.0, 4.0, 3.0
HOLES_A = ((26.0, 10.0, 3.25), (26.0, 26.0, 3.25), (48.0, 18.0, 4.5))
HOLES_B = ((26.0, 18.0, 6.0),)
COLOURS = {"machined": (0.80, 0.45, 0.10), "outside": (0.10, 0.30, 0.70), "skin": (0.6, 0.6, 0.6)}

Point = tuple[float, float, float]


class StepFile:
    """Numbered entities; `add` returns the reference to write into others."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, text: str) -> str:
        self.lines.append(f"#{len(self.lines) + 1}={text};")
        return f"#{len(self.lines)}"

    def point(self, p: Point) -> str:
        return self.add(f"CARTESIAN_POINT('',({_numbers(p)}))")

    def direction(self, d: Point) -> str:
        return self.add(f"DIRECTION('',({_numbers(d)}))")

    def frame(self, at: Point, axis: Point, x: Point) -> str:
        parts = (self.point(at), self.direction(axis), self.direction(x))
        return self.add(f"AXIS2_PLACEMENT_3D('',{','.join(parts)})")

    def vertex(self, p: Point) -> str:
        return self.add(f"VERTEX_POINT('',{self.point(p)})")

    def line(self, a: Point, b: Point, va: str, vb: str) -> str:
        length = math.dist(a, b)
        along = tuple((q - p) / length for p, q in zip(a, b, strict=True))
        vector = self.add(f"VECTOR('',{self.direction(along)},1.)")
        curve = self.add(f"LINE('',{self.point(a)},{vector})")
        return self.add(f"EDGE_CURVE('',{va},{vb},{curve},.T.)")

    def arc(self, centre: Point, axis: Point, x: Point, radius: float, va: str, vb: str) -> str:
        curve = self.add(f"CIRCLE('',{self.frame(centre, axis, x)},{radius:.6f})")
        return self.add(f"EDGE_CURVE('',{va},{vb},{curve},.T.)")

    def loop(self, edges: list[tuple[str, bool]]) -> str:
        turned = [self.add(f"ORIENTED_EDGE('',*,*,{e},{_flag(f)})") for e, f in edges]
        return self.add(f"EDGE_LOOP('',({','.join(turned)}))")

    def face(self, name: str, loops: list[str], surface: str, same: bool) -> str:
        bounds = [self.add(f"FACE_OUTER_BOUND('',{loops[0]},.T.)")]
        bounds += [self.add(f"FACE_BOUND('',{loop},.T.)") for loop in loops[1:]]
        return self.add(f"ADVANCED_FACE('{name}',({','.join(bounds)}),{surface},{_flag(same)})")


def bracket() -> str:
    """Return the bracket as STEP text."""
    step, faces = StepFile(), []
    outer = INNER + THICK
    # The profile in (x, z), material on the left; arcs are (centre, radius, convex).
    corners = [
        (outer, 0.0), (LEG_A, 0.0), (LEG_A, THICK), (outer, THICK),
        (THICK, outer), (THICK, LEG_B), (0.0, LEG_B), (0.0, outer),
    ]  # fmt: skip
    names = ["outside", "skin", "machined", "skin", "machined", "skin", "outside", "skin"]
    arcs = {3: (INNER, False), 7: (outer, True)}
    count = len(corners)
    points = [[(x, y, z) for x, z in corners] for y in (0.0, WIDTH)]
    vertices = [[step.vertex(p) for p in row] for row in points]
    rims: list[list[str]] = [[], []]
    for level in (0, 1):
        for i in range(count):
            a, b = points[level][i], points[level][(i + 1) % count]
            va, vb = vertices[level][i], vertices[level][(i + 1) % count]
            if i in arcs:
                radius, convex = arcs[i]
                centre = (outer, a[1], outer)
                # Turning from x to z is a right-handed turn about -y.
                axis = (0.0, -1.0, 0.0) if convex else (0.0, 1.0, 0.0)
                x = tuple((p - c) / radius for p, c in zip(a, centre, strict=True))
                rims[level].append(step.arc(centre, axis, x, radius, va, vb))
            else:
                rims[level].append(step.line(a, b, va, vb))
    across = [
        step.line(points[0][i], points[1][i], vertices[0][i], vertices[1][i]) for i in range(count)
    ]
    holes = _holes(step)
    for i in range(count):
        j = (i + 1) % count
        edges = [(rims[0][i], True), (across[j], True), (rims[1][i], False), (across[i], False)]
        # Seen from outside the rim at y = 0 runs clockwise, so all of it is turned round.
        loop = step.loop([(e, not f) for e, f in reversed(edges)])
        if i in arcs:
            radius, convex = arcs[i]
            frame = step.frame((outer, 0.0, outer), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
            surface = step.add(f"CYLINDRICAL_SURFACE('',{frame},{radius:.6f})")
            faces.append((names[i], step.face(names[i], [loop], surface, convex)))
            continue
        a, b = points[0][i], points[0][j]
        length = math.dist(a, b)
        along = tuple((q - p) / length for p, q in zip(a, b, strict=True))
        normal = (along[2], 0.0, -along[0])
        surface = step.add(f"PLANE('',{step.frame(a, normal, along)})")
        inner = [step.loop(edges) for edges in holes.get(i, [])]
        faces.append((names[i], step.face(names[i], [loop, *inner], surface, True)))
    for level, normal in ((0, (0.0, -1.0, 0.0)), (1, (0.0, 1.0, 0.0))):
        edges = [(e, True) for e in rims[level]]
        if level:
            edges = [(e, False) for e, _ in reversed(edges)]
        surface = step.add(f"PLANE('',{step.frame(points[level][0], normal, (1.0, 0.0, 0.0))})")
        faces.append(("skin", step.face("end", [step.loop(edges)], surface, True)))
    faces += [("skin", face) for face in holes["walls"]]
    return _document(step, faces)


def _holes(step: StepFile) -> dict:
    """Add the round holes; return the rims by number of the profile's face, and the walls."""
    found: dict = {"walls": []}
    for (first, second), axis, x, rows in (
        ((0, 2), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0), HOLES_A),
        ((6, 4), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), HOLES_B),
    ):
        for u, v, radius in rows:
            centre = (u, v, 0.0) if axis[2] else (0.0, v, u)
            rims, ends = [], []
            for depth in (0.0, THICK):
                at = tuple(c + depth * a for c, a in zip(centre, axis, strict=True))
                start = tuple(c + radius * d for c, d in zip(at, x, strict=True))
                vertex = step.vertex(start)
                ends.append((start, vertex))
                rims.append(step.arc(at, axis, x, radius, vertex, vertex))
            seam = step.line(ends[0][0], ends[1][0], ends[0][1], ends[1][1])
            # Circles turn about `axis`: that is the way round a hole where the face's
            # normal points against it.
            found.setdefault(first, []).append([(rims[0], True)])
            found.setdefault(second, []).append([(rims[1], False)])
            loop = step.loop([(rims[0], False), (seam, True), (rims[1], True), (seam, False)])
            surface = step.add(
                f"CYLINDRICAL_SURFACE('',{step.frame(centre, axis, x)},{radius:.6f})"
            )
            found["walls"].append(step.face("hole", [loop], surface, False))
    return found


def _document(step: StepFile, faces: list[tuple[str, str]]) -> str:
    add = step.add
    shell = add(f"CLOSED_SHELL('',({','.join(face for _, face in faces)}))")
    solid = add(f"MANIFOLD_SOLID_BREP('bracket',{shell})")
    frame = step.frame((0.0, 0.0, 0.0), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0))
    length = add("(LENGTH_UNIT()NAMED_UNIT(*)SI_UNIT(.MILLI.,.METRE.))")
    angle = add("(NAMED_UNIT(*)PLANE_ANGLE_UNIT()SI_UNIT($,.RADIAN.))")
    solid_angle = add("(NAMED_UNIT(*)SI_UNIT($,.STERADIAN.)SOLID_ANGLE_UNIT())")
    accuracy = add(
        f"UNCERTAINTY_MEASURE_WITH_UNIT(LENGTH_MEASURE(1.E-05),{length},'distance_accuracy_value','')"
    )
    context = add(
        "(GEOMETRIC_REPRESENTATION_CONTEXT(3)"
        f"GLOBAL_UNCERTAINTY_ASSIGNED_CONTEXT(({accuracy}))"
        f"GLOBAL_UNIT_ASSIGNED_CONTEXT(({length},{angle},{solid_angle}))"
        "REPRESENTATION_CONTEXT('',''))"
    )
    shape = add(f"ADVANCED_BREP_SHAPE_REPRESENTATION('',({frame},{solid}),{context})")
    application = add("APPLICATION_CONTEXT('automotive design')")
    protocol = f"'international standard','automotive_design',2000,{application}"
    add(f"APPLICATION_PROTOCOL_DEFINITION({protocol})")
    about = add(f"PRODUCT_CONTEXT('',{application},'mechanical')")
    product = add(f"PRODUCT('bracket','bracket','',({about}))")
    version = add(f"PRODUCT_DEFINITION_FORMATION('','',{product})")
    design = add(f"PRODUCT_DEFINITION_CONTEXT('part definition',{application},'design')")
    definition = add(f"PRODUCT_DEFINITION('design','',{version},{design})")
    whole = add(f"PRODUCT_DEFINITION_SHAPE('','',{definition})")
    add(f"SHAPE_DEFINITION_REPRESENTATION({whole},{shape})")
    styles = {}
    for name, (r, g, b) in COLOURS.items():
        colour = add(f"COLOUR_RGB('{name}',{r:.3f},{g:.3f},{b:.3f})")
        filling = add(f"FILL_AREA_STYLE_COLOUR('',{colour})")
        area = add(f"FILL_AREA_STYLE('',({filling}))")
        surface = add(f"SURFACE_STYLE_FILL_AREA({area})")
        side = add(f"SURFACE_SIDE_STYLE('',({surface}))")
        usage = add(f"SURFACE_STYLE_USAGE(.BOTH.,{side})")
        styles[name] = add(f"PRESENTATION_STYLE_ASSIGNMENT(({usage}))")
    items = [add(f"STYLED_ITEM('',({styles[name]}),{face})") for name, face in faces]
    add(
        f"MECHANICAL_DESIGN_GEOMETRIC_PRESENTATION_REPRESENTATION('',({','.join(items)}),{context})"
    )
    header = (
        "ISO-10303-21;\nHEADER;\nFILE_DESCRIPTION(('angle bracket'),'2;1');\n"
        "FILE_NAME('bracket.step','2026-01-01T00:00:00',(''),(''),'','examples/make_bracket.py','');\n"
        "FILE_SCHEMA(('AUTOMOTIVE_DESIGN { 1 0 10303 214 1 1 1 1 }'));\nENDSEC;\nDATA;\n"
    )
    return header + "\n".join(step.lines) + "\nENDSEC;\nEND-ISO-10303-21;\n"


def _numbers(values: tuple[float, ...]) -> str:
    return ",".join(f"{v + 0.0:.6f}" for v in values)


def _flag(value: bool) -> str:
    return ".T." if value else ".F."


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "assets/bracket.step")
    target.write_text(bracket(), encoding="ascii")
    print(target)
