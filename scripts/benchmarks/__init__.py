"""Measurements of the relay, against a real mongod. Run them with scripts/bench."""
