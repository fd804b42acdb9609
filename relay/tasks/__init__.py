"""What a change means: mapping, translation, timelines. Pure."""
