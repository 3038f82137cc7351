"""
Configuration files: each is read, or refused with an error that says where it is wrong.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from dstwist.config.load import load
from dstwist.errors import ConfigError

_CHECKOUT = Path(__file__).resolve().parent.parent
_SHIPPED = [path for directory in ("etc", "tests/hostile") for path in _CHECKOUT.glob(f"{directory}/**/*.yml")]
SEEDS = [
    *(path.read_bytes() for path in [*_SHIPPED, *_CHECKOUT.glob("tests/e2e/*.yml")]),
    b"a: &a [1, *b]\n<<: *a\n",
    b"x: &x {a: 1}\ny: {<<: [*x, *x], b: ${HOME}}\n",
    b"serverName: ${NAME}\nlogLevel: 0x1\nhttpServer: {options: {ssl: {key: fileLoad(config.yml)}}}\n",
    b"auth: [{type: file, options: {users: fileLoad(config.yml)}}]\npermission: {type: valve}\n",
    b'{"logLevel": "INFO", "rpc": {"ackTimeout": 1e3}}',
]

_directory = ""


def attempt(data: bytes) -> None:
    """
    Read it as a file.
    """
    global _directory
    if not _directory:
        _directory = tempfile.mkdtemp()
        atexit.register(shutil.rmtree, _directory)
    path = os.path.join(_directory, "config.yml")
    with open(path, "wb") as file:
        file.write(data)
    try:
        load(path, {"NAME": "n", "HOME": "/"})
    except ConfigError as error:
        str(error)
