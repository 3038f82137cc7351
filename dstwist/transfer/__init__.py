"""
Records out of a store, and into one: backups of the SQLite file, and files of JSON lines that every store can read.

=====================  =========================================================================================
module                 task
=====================  =========================================================================================
L{.new_file}           a file that gets its name when it is complete
L{.sqlite_copy}        copies an SQLite file while a server writes to it, and checks the copy
L{.backup}             makes a backup of the store's file
L{.restore}            puts a backup in the place of the store's file, and keeps the replaced file
L{.sqlite_reader}      reads the records of an SQLite file while a server writes to it
L{.stores}             which stores of a configuration to export from, and to import into
L{.lines}              how a record becomes a line of JSON, and back
L{.exporting}          writes all records of a store as lines
L{.batches}            writes a batch of records to a store
L{.importing}          reads lines, and writes their records to a store
L{.state_file}         remembers how far an import has come
=====================  =========================================================================================
"""
