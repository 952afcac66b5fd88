"""Distributions: small frozen values that say what a config key may draw."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Constant:
    """Always `value`."""

    value: float

    def support(self) -> tuple[float, float]:
        return self.value, self.value

    def sample(self, rng: np.random.Generator) -> float:
        return self.value


@dataclass(frozen=True, slots=True)
class Uniform:
    """Uniform on [low, high)."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _require_finite(self.low, self.high)
        if self.low > self.high:
            raise ValueError(f"range [{self.low:g}, {self.high:g}] is reversed")

    def support(self) -> tuple[float, float]:
        return self.low, self.high

    def sample(self, rng: np.random.Generator) -> float:
        return float(rng.uniform(self.low, self.high))


@dataclass(frozen=True, slots=True)
class LogUniform:
    """Uniform in the logarithm on [low, high), for scales that span decades."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _require_finite(self.low, self.high)
        if self.low <= 0:
            raise ValueError(f"loguniform needs a low end above 0, not {self.low:g}")
        if self.low > self.high:
            raise ValueError(f"range [{self.low:g}, {self.high:g}] is reversed")

    def support(self) -> tuple[float, float]:
        return self.low, self.high

    def sample(self, rng: np.random.Generator) -> float:
        return float(np.exp(rng.uniform(math.log(self.low), math.log(self.high))))


@dataclass(frozen=True, slots=True)
class Normal:
    """Normal(mean, std) truncated to [low, high] by drawing again."""

    mean: float
    std: float
    low: float
    high: float

    def __post_init__(self) -> None:
        _require_finite(self.mean, self.std, self.low, self.high)
        if self.std < 0:
            raise ValueError(f"standard deviation {self.std:g} is negative")
        if self.low > self.high:
            raise ValueError(f"range [{self.low:g}, {self.high:g}] is reversed")
        if not self.low <= self.mean <= self.high:
            raise ValueError(f"mean {self.mean:g} lies outside [{self.low:g}, {self.high:g}]")

    def support(self) -> tuple[float, float]:
        return self.low, self.high

    def sample(self, rng: np.random.Generator) -> float:
        for _ in range(64):
            value = float(rng.normal(self.mean, self.std))
            if self.low <= value <= self.high:
                return value
        return float(np.clip(value, self.low, self.high))


@dataclass(frozen=True, slots=True)
class Choice:
    """One of `values`, with `weights` that need not add up to one."""

    values: tuple[Any, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("choice needs at least one value")
        if len(self.values) != len(self.weights):
            raise ValueError(f"{len(self.values)} values but {len(self.weights)} weights")
        if min(self.weights) < 0 or sum(self.weights) <= 0:
            raise ValueError("weights must be at least 0 and not all 0")

    def support(self) -> tuple[float, float]:
        return min(self.values), max(self.values)

    def sample(self, rng: np.random.Generator) -> Any:
        p = np.asarray(self.weights, dtype=np.float64)
        return self.values[int(rng.choice(len(self.values), p=p / p.sum()))]


Distribution = Constant | Uniform | LogUniform | Normal | Choice


def sample_count(rng: np.random.Generator, distribution: Distribution) -> int:
    """Draw a whole number: uniform ranges include both ends, a fraction is rounded by chance."""
    if isinstance(distribution, Uniform):
        return int(rng.integers(round(distribution.low), round(distribution.high) + 1))
    value = float(distribution.sample(rng))
    whole = math.floor(value)
    return whole + int(rng.uniform() < value - whole)


def _require_finite(*values: float) -> None:
    for value in values:
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a finite number")
