"""
Valve, deepstream's permission language: rules that are JavaScript expressions, parsed and interpreted by this package.

No part of a rule is ever executed as Python or JavaScript code. A rule is read once, when its file is loaded: it
becomes a tree, and then nested functions of this package. These can reach the values of the current decision, and
nothing of Python.

================  ==================================================================================
module            subject
================  ==================================================================================
C{utf16}          texts in UTF-16 units
C{values}         JavaScript's values and operators: equality, truth, conversions
C{members}        the members of values, and the methods that rules may call
C{regex}          JavaScript's regular expressions, on an engine that cannot backtrack
C{lexer}          from text to tokens
C{tree}           the nodes of the syntax tree
C{parser}         from tokens to the syntax tree
C{scope}          the names that a rule may use
C{compiler}       from the syntax tree to functions
C{checks}         which texts may be rules at all
C{paths}          patterns of names: C{user/$id}
C{actions}        which rule guards which action
C{rules}          a whole permissions.yml; which of its rules decides
C{decision}       one decision, with the records that it needs
C{permission}     asks the rules
C{explain}        a decision with the value of each part of the rule
C{rule_tests}     the operator's table of expected decisions
C{lint}           warnings about rules that are probably wrong
C{comparisons}    comparisons that are always true, or never
C{kinds}          the kinds of values that an expression can have
C{shadowing}      patterns that match all names of another pattern
================  ==================================================================================
"""
