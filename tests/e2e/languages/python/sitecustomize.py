"""
Python imports this at its start where this folder is on its path. It lets deepstreampy, which is of 2017, be installed
and run by Python 3.10 and later: its sources lack the requirements that its set-up asks for, and Tornado 4 asks
C{collections} for what is in C{collections.abc} now.
"""

from __future__ import annotations

import collections.abc
from pathlib import Path

for _name in collections.abc.__all__:
    if not hasattr(collections, _name):
        setattr(collections, _name, getattr(collections.abc, _name))

if Path("setup.py").exists() and Path("deepstreampy").is_dir() and not Path("requirements.txt").exists():
    Path("requirements.txt").touch()
