"""Photographs measured against simulated images, and ranges inferred from both."""
