"""The wire contract in code: message types, requests, limits, frames and their JSON Schema. PROTOCOL.md is its text."""
