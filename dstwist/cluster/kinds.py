"""
The letters for the kinds of names in the directory, and for the subjects of the bus. No other module has its own.

=========  ===================  ==================================================  ==================================
letter     names                in the directory: a node holds such a name while    as the first letter of a subject
=========  ===================  ==================================================  ==================================
C{u}       users                the user is online here                             --
C{p}       procedures           a client here provides the procedure                --
C{e}       events               a client here is subscribed, and a pattern of any   the events under the name
                                node matches
C{r}       records              the same                                            news of the record
C{f} C{s}  events, records      a listener here provides the name                   --
C{n}       --                   --                                                  alone: the identities of stores
=========  ===================  ==================================================  ==================================
"""

from __future__ import annotations

USER = "u"
PROCEDURE = "p"
EVENT = "e"
RECORD = "r"
PROVIDED_EVENT = "f"
PROVIDED_RECORD = "s"
STORES = "n"

#: The kinds whose watchers are told which nodes hold a name.
EXACT = (PROCEDURE, EVENT, RECORD)
