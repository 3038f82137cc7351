"""
A load generator on raw sockets, for dstwist, the Node server and, where they can do the same, Redis and NATS.

It counts what arrives by a mark in the data, so it does not matter how a server batches messages, and it makes frames
from templates. So it is cheaper than any server it drives, and one process of it keeps a server busy.

===============  ===========================================================================
``wire.py``      frames of clients, and many frames that differ in a number
``target.py``    the server: where it listens, and what CPU time and memory it has used
``client.py``    a connection, and its login
``loop.py``      many connections at the same time, and what they receive, counted
``span.py``      the part of a run that is measured
``dialects.py``  publish and subscribe, as each kind of server has it
``fanout.py``    one message to many subscribers: events, and changes of records
``ingest.py``    events that no client is subscribed to
``writes.py``    acknowledged writes, and new records
``rpc.py``       procedure calls
``logins.py``    logins, and connections that do nothing
``latency.py``   the time from publisher to subscriber at a fixed rate
``stalls.py``    how long a client waits while the server has to do something large
===============  ===========================================================================
"""
