"""Strict parse of plain mappings into frozen dataclasses, and back.

The same parser reads configs, where its errors name the dotted key and the
remedy, and stored SceneSpecs, where it makes the JSON round trip exact.
"""

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Literal, TypeVar, Union

from simgen.errors import ConfigError
from simgen.sampling import Choice, Constant, Distribution, LogUniform, Normal, Uniform

T = TypeVar("T")

_DISTRIBUTIONS = {
    "uniform": (Uniform, ("low", "high")),
    "loguniform": (LogUniform, ("low", "high")),
    "normal": (Normal, ("mean", "std", "low", "high")),
}
# Of a field that came later: what was written before it is the same, and hashes the same, without.
LEFT_OUT_AT_DEFAULT = {"left_out_at_default": True}
DISTRIBUTION_TAGS = frozenset((*_DISTRIBUTIONS, "choice", "constant"))


def bounded(
    default: Any = dataclasses.MISSING,
    *,
    default_factory: Any = dataclasses.MISSING,
    low: float = -math.inf,
    high: float = math.inf,
    above: float = -math.inf,
    nonempty: bool = False,
) -> Any:
    """Return a dataclass field whose number, or whose distribution's support, is bounded.

    Args:
        default: The field's default; without it and `default_factory` the key is required.
        default_factory: Makes the default, as for `dataclasses.field`.
        low: Smallest allowed value.
        high: Largest allowed value.
        above: The value must be strictly larger than this.
        nonempty: A list or mapping must hold something.
    """
    metadata = {"low": low, "high": high, "above": above, "nonempty": nonempty}
    return dataclasses.field(default=default, default_factory=default_factory, metadata=metadata)


def parse(cls: type[T], data: Any, key: str = "") -> T:
    """Build the frozen dataclass `cls` from the mapping `data`.

    Args:
        cls: A dataclass whose fields have types made of int, float, bool, str,
            Literal, tuple, dict, Distribution, optionals and other dataclasses.
        data: What YAML or JSON gave.
        key: Dotted key of `data` itself, for messages.

    Raises:
        ConfigError: A key is unknown, missing, of the wrong type or out of its
            range; the message names the dotted key and the nearest valid one.
    """
    if not isinstance(data, Mapping):
        raise ConfigError(f"{key or 'config'}: expected keys and values, got {_show(data)}")
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    hints = _hints(cls)  # type: ignore[arg-type]
    for name in data:
        if name not in fields:
            tail = suggest(str(name), fields, prefix=_join(key, ""))
            raise ConfigError(f"{_join(key, name)}: unknown key{tail}")
    values = {}
    for name, field in fields.items():
        dotted = _join(key, name)
        if name in data:
            values[name] = _value(hints[name], data[name], dotted)
            _check_bounds(values[name], field.metadata, dotted)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError(f"{dotted}: required key is missing; give it a value")
    try:
        return cls(**values)
    except ValueError as error:
        raise ConfigError(f"{key}: {error}" if key else str(error)) from None


@lru_cache(maxsize=256)
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def to_plain(value: Any) -> Any:
    """Return `value` as dicts, lists and scalars that JSON can hold; `parse` reads it back."""
    if isinstance(value, Constant):
        return value.value
    if isinstance(value, Choice):
        return {"choice": list(value.values), "weights": list(value.weights)}
    for tag, (cls, names) in _DISTRIBUTIONS.items():
        if isinstance(value, cls):
            return {tag: [getattr(value, name) for name in names]}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            f.name: to_plain(getattr(value, f.name))
            for f in dataclasses.fields(value)
            if not (f.metadata.get("left_out_at_default") and getattr(value, f.name) == f.default)
        }
    if isinstance(value, Mapping):
        return {k: to_plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(v) for v in value]
    return value


def suggest(name: str, known: Iterable[str], *, prefix: str = "") -> str:
    """Return a tail for a message about an unknown name: the nearest one, else all of them.

    `prefix` precedes every known name in the message and takes no part in the comparison.
    """
    known = sorted(str(k) for k in known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {prefix + near[0]!r}?"
    return f"; valid here: {', '.join(prefix + k for k in known)}" if known else ""


def _value(kind: Any, data: Any, key: str) -> Any:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if kind == Distribution:
        return _distribution(data, key)
    if origin in (Union, types.UnionType):
        if data is None and type(None) in args:
            return None
        inner = [a for a in args if a is not type(None)]
        if set(inner) == set(typing.get_args(Distribution)):
            return _distribution(data, key)
        if len(inner) > 1 and all(dataclasses.is_dataclass(a) for a in inner):
            return _named(inner, data, key)
        return _first_fitting(inner, data, key)
    if origin is Literal:
        if data not in args:
            raise ConfigError(
                f"{key}: {_show(data)} is not allowed{suggest(str(data), map(str, args))}"
            )
        return data
    if origin is tuple:
        return _tuple(args, data, key)
    if origin is dict:
        if not isinstance(data, Mapping):
            raise ConfigError(f"{key}: expected keys and values, got {_show(data)}")
        return {str(k): _value(args[1], v, _join(key, k)) for k, v in data.items()}
    if dataclasses.is_dataclass(kind):
        return parse(typing.cast(type[Any], kind), data, key)
    return _scalar(kind, data, key)


def _named(kinds: list[Any], data: Any, key: str) -> Any:
    """Parse one of several dataclasses, told apart by their `name: Literal[...]`."""
    if not isinstance(data, Mapping):
        raise ConfigError(f"{key}: expected keys and values, got {_show(data)}")
    names = {typing.get_args(typing.get_type_hints(kind)["name"])[0]: kind for kind in kinds}
    name = data.get("name", next(iter(names)))
    if not isinstance(name, str) or name not in names:
        raise ConfigError(
            f"{_join(key, 'name')}: {_show(name)} is not allowed{suggest(str(name), names)}"
        )
    return parse(names[name], data, key)


def _first_fitting(kinds: list[Any], data: Any, key: str) -> Any:
    for kind in kinds[:-1]:
        try:
            return _value(kind, data, key)
        except ConfigError:
            continue
    return _value(kinds[-1], data, key)


def _scalar(kind: Any, data: Any, key: str) -> Any:
    if kind is Any:
        return data
    is_number = isinstance(data, (int, float)) and not isinstance(data, bool)
    if kind is float and is_number:
        if not math.isfinite(data):
            raise ConfigError(f"{key}: {data} is not a finite number")
        return float(data)
    if kind is int and is_number and (isinstance(data, int) or data.is_integer()):
        return int(data)
    if kind in (bool, str) and isinstance(data, kind):
        return data
    names = {float: "a number", int: "a whole number", bool: "true or false", str: "a text"}
    raise ConfigError(f"{key}: expected {names.get(kind, kind)}, got {_show(data)}")


def _tuple(args: tuple[Any, ...], data: Any, key: str) -> tuple[Any, ...]:
    if not isinstance(data, (list, tuple)):
        raise ConfigError(f"{key}: expected a list, got {_show(data)}")
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(_value(args[0], v, f"{key}[{i}]") for i, v in enumerate(data))
    if len(data) != len(args):
        raise ConfigError(f"{key}: expected {len(args)} values, got {len(data)}")
    return tuple(
        _value(a, v, f"{key}[{i}]") for i, (a, v) in enumerate(zip(args, data, strict=True))
    )


def _distribution(data: Any, key: str) -> Distribution:
    if isinstance(data, (int, float)) and not isinstance(data, bool):
        return Constant(_scalar(float, data, key))
    if not isinstance(data, Mapping):
        raise ConfigError(
            f"{key}: expected a number or a distribution such as {{uniform: [0, 1]}},"
            f" got {_show(data)}"
        )
    # A config that extends another takes a distribution out by setting it to null.
    data = {k: v for k, v in data.items() if v is not None}
    weights = data.pop("weights", None)
    if len(data) != 1:
        raise ConfigError(
            f"{key}: expected one distribution, got {_show(list(data))}; set the others to null"
        )
    tag, arguments = next(iter(data.items()))
    if tag == "constant":
        return Constant(_scalar(float, arguments, key))
    if not isinstance(arguments, (list, tuple)):
        raise ConfigError(f"{key}.{tag}: expected a list, got {_show(arguments)}")
    try:
        if tag == "choice":
            weights = [1.0] * len(arguments) if weights is None else weights
            # A whole number among them is a float like the rest, so that specs hash alike.
            values = tuple(_scalar(float, v, f"{key}.choice") for v in arguments)
            return Choice(values, _tuple((float, Ellipsis), weights, f"{key}.weights"))
        if weights is not None:
            raise ConfigError(f"{key}.weights: only choice has weights")
        if tag not in _DISTRIBUTIONS:
            tail = suggest(str(tag), DISTRIBUTION_TAGS)
            raise ConfigError(f"{key}.{tag}: unknown distribution{tail}")
        cls, names = _DISTRIBUTIONS[tag]
        if len(arguments) != len(names):
            raise ConfigError(f"{key}.{tag}: expected [{', '.join(names)}], got {_show(arguments)}")
        return cls(*(_scalar(float, v, f"{key}.{tag}") for v in arguments))
    except ValueError as error:
        raise ConfigError(f"{key}.{tag}: {error}; correct the values") from None


def _check_bounds(value: Any, metadata: Mapping[str, Any], dotted: str) -> None:
    if "low" not in metadata or value is None:
        return
    if metadata["nonempty"] and not value:
        raise ConfigError(f"{dotted}: is empty; give it at least one entry")
    for key, lowest, highest in _supports(value, dotted):
        if lowest < metadata["low"]:
            raise ConfigError(
                f"{key}: {lowest:g} is too small; at least {metadata['low']:g} is needed"
            )
        if lowest <= metadata["above"]:
            raise ConfigError(
                f"{key}: {lowest:g} is too small; it must be above {metadata['above']:g}"
            )
        if highest > metadata["high"]:
            raise ConfigError(
                f"{key}: {highest:g} is too large; at most {metadata['high']:g} is allowed"
            )


def _supports(value: Any, key: str) -> Iterator[tuple[str, float, float]]:
    """Yield key, smallest and largest value of every number and distribution in a field."""
    if isinstance(value, (Constant, Uniform, LogUniform, Normal, Choice)):
        yield key, *value.support()
    elif isinstance(value, (int, float)):
        yield key, value, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _supports(item, _join(key, name))
    elif isinstance(value, tuple):
        for item in value:
            yield from _supports(item, key)


def _join(key: str, name: Any) -> str:
    return f"{key}.{name}" if key else str(name)


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
