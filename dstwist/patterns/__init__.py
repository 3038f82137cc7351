"""
Patterns that clients listen with: one pattern on RE2 (L{.javascript}), and many patterns in one pass (L{.table}).
"""
