"""From SceneSpec to buffers."""
