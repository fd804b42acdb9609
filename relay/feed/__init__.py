"""The pump: batches in, translated steps out."""
