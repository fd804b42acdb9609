"""Clients for tests of `relay conformance`."""
