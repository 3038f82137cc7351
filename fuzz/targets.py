"""
What there is to be broken.
"""

from __future__ import annotations

TARGETS = ("text", "protobuf", "paths", "http", "node", "config", "valve")
