"""
Puts the parts of a node together, in steps. L{dstwist.node.Node} takes the steps from top to bottom, and gives each of
them what the steps above have made.

===============================  =======================================================================================
step                             makes
===============================  =======================================================================================
L{.logins.LoginParts}            which clients may log in: authentication, users, bans
L{.requests.PermissionParts}     what clients may do: the permission, and the records that it looks at
L{.requests.RequestParts}        what becomes of requests: the cluster, the topics, the router
L{.clients.ClientParts}          where requests come from: WebSockets, streams, C{Node.api}
L{.operation.OperationParts}     what operators use: figures, administration
L{.ports.PortParts}              how clients get in: HTTP and the shared port
L{.start_and_stop}               what L{dstwist.lifecycle} starts and stops, in which order
===============================  =======================================================================================

Always true: a step opens nothing: parts open what they need when the node starts. No step calls what it gets from the
node (C{kick}, C{not_ready} and so on) while it makes its parts.
"""
