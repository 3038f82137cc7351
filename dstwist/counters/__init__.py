"""
Plain numbers that the parts of a node increase while they work.

========================  ==============================================================================================
L{.messages}              messages by topic and action
L{.histogram}             durations, by how long they were
L{.log_lines}             warnings and errors by their event, limits that were exceeded
========================  ==============================================================================================

The parts that count keep these objects as public attributes. Nothing is computed when something is counted. The package
L{dstwist.figures} reads the numbers when an operator asks for them.
"""
