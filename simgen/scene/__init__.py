"""The frozen description of a scene."""
