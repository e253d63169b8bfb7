"""Suites that others wrote, run against the gateway."""
