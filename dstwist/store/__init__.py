"""
The stores of records: the cache and the storage.

==========================  ==========================================================================================
module                      task
==========================  ==========================================================================================
L{.from_settings}           builds the cache and the storage from the settings
L{.tiers}                   reads records from the cache, else from the storage (the record service writes both)
L{.memory}                  a store in the memory of this process
L{.plugin_store}            a store of a plug-in
L{.sqlite}                  a store in one file, with a thread of its own; its parts are:
L{.sqlite_file}             the open database: transactions, and the checks around them
L{.sqlite_schema}           its table; whether a file is a database of dstwist, and the version of the table
L{.sqlite_rows}             how a record becomes a row of the table, and back
L{.sqlite_quota}            the limit for the size of the file and its write-ahead log
L{.sqlite_lock}             the lock that keeps other servers away
L{.sqlite_files_in_place}   whether the open files are still found under their names
L{.sqlite_wal}              whether the write-ahead log still has what was written to it
L{.sqlite_errors}           failures in words for an operator
==========================  ==========================================================================================

A new kind of store is a class that provides L{IStore<dstwist.interfaces.IStore>}, and a branch in L{.from_settings}.
"""
