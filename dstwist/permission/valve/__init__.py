"""
Valve, deepstream's permission language: rules that are JavaScript expressions, parsed and interpreted by us.

No part of a rule is ever run as code. A rule is read once, when its file is loaded, and becomes a tree and then nested
functions of ours; what these can reach is the values of the decision at hand, and nothing of Python.

==============  =====================================================================================
module          what it knows
==============  =====================================================================================
C{utf16}        texts, in UTF-16 units
C{values}       JavaScript's values and operators: what is equal, true, a number, a text
C{members}      what a value's members are, and the methods that rules may call
C{regex}        JavaScript's regular expressions, on an engine that cannot backtrack
C{lexer}        the words of an expression
C{tree}         its structure
C{parser}       from words to structure
C{scope}        what the names in an expression stand for
C{compiler}     from structure to functions
C{checks}       which texts may be rules at all
C{paths}        patterns of names: C{user/$id}
C{actions}      which rule guards which action
C{rules}        a whole permissions.yml, and which of its rules decides
C{decision}     one decision, with the records that it needs
C{lint}         rules that hardly do what they are meant to do
C{comparisons}  comparisons that always come to the same
C{kinds}        what kind of value a part of a rule comes to
C{shadowing}    patterns that match all that another one matches
==============  =====================================================================================
"""
