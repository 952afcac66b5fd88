"""pyrender as a renderer: its colour, our labels."""
