"""Randomizers that scenes share: `sample_x(rng, ranges, ...)` draws one part of a SceneSpec."""
