"""Single events: whether one is sound, and the record that hosts get of it."""
