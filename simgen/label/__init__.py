"""Exact labels from geometry."""
