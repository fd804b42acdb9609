"""Work out what a change of a document means for its task: mapping, translation, timelines, redaction. Pure."""
