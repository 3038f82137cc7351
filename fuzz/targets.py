"""
The names of the targets.
"""

from __future__ import annotations

TARGETS = ("text", "protobuf", "json", "paths", "http", "node", "config", "valve")
