"""From MongoDB: what changed, and what was true at a position."""
