"""
The RPC topic: remote procedure calls.

==========================  =========================================================================================
module                      task
==========================  =========================================================================================
L{.service}                 the topic: requests and answers of clients. Read this one first
L{.running_calls}           the course of a call: which provider is asked next, and what ends the call
L{.calls}                   calls, and the lists of calls of each requestor and provider
L{.local_providers}         the clients of this node that provide procedures
B{over nodes}
L{.node_messages}           the messages between nodes about calls
L{.provided_names}          the procedures that clients of this node provide, as the other nodes are told
L{.remote_providers}        calls of clients here that providers of other nodes answer
L{.waiting}                 calls that wait until it is known which nodes provide a procedure
L{.remote_requestors}       calls of clients of other nodes that providers here answer
==========================  =========================================================================================
"""
