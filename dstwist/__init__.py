"""
dstwist: a realtime data server in Python, a drop-in for deepstream.io.
"""

from __future__ import annotations

__version__ = "0.1.0"
