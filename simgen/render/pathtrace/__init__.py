"""Path tracing with Mitsuba 3: the same SceneSpec, the same units of light, no approximations."""
