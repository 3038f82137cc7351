"""
The kinds of names in the directory, and the letters of subjects.

=========  ===================  ====================================================================================
kind       names                a node holds such a name while
=========  ===================  ====================================================================================
C{u}       users                the user is online here
C{p}       procedures           a client here provides the procedure
C{e} C{r}  events, records      a client here is subscribed, and a pattern of any node matches
C{f} C{s}  events, records      a listener here provides the name
=========  ===================  ====================================================================================

The subjects of events and records begin with C{e} and C{r} as well.
"""

from __future__ import annotations

USER = "u"
PROCEDURE = "p"
EVENT = "e"
RECORD = "r"
PROVIDED_EVENT = "f"
PROVIDED_RECORD = "s"

#: The kinds whose watchers are told which nodes hold a name.
EXACT = (PROCEDURE, EVENT, RECORD)
