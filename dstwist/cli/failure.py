"""
The end of a command that cannot do its work.
"""

from __future__ import annotations

import click


def failed(text: str) -> SystemExit:
    """
    Print C{text} to the standard error. The caller raises the result.
    """
    click.echo(text, err=True)
    return SystemExit(1)
