"""
What rules are made of, to be thrown together at random.
"""

from __future__ import annotations

PIECES = [
    *"( ) [ ] { } . ?. , : ? ` ${ / = == === ! != + - * % ** && || ?? < > << >>> & | ^ ~ ;".split(),
    *"typeof void in instanceof a data oldData user _ name $id undefined true null 'x' \"y\" 1 .5 1e999 0x1f".split(),
    *"indexOf( trim() match( _( /a+/ /[/ toUpperCase length new function => // /* */ \\ ' #".split(),
    " ",
    "\n",
    "'\ud83d'",
    "\u2028",
    "😀",
]
