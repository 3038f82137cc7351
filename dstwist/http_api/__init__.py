"""
The HTTP API: requests of programs that have no connection (C{operations.md} section 1).

A request logs in, makes a batch of requests for events, records, procedures and users, and gets the results of all of
them in one answer. Each request is a requester of its own, with the limits, the router, the permission and the services
of all other clients. It is not in presence, and it cannot subscribe, listen or provide::

    POST body --> L{.body}: JSON --> L{.envelope}: credentials, items --> login --> L{.items}: messages
                                                                                        |
    answer <-- L{.results}: JSON <-- L{.batch}: the answers of the services <-- router <-+

=====================  ==================================================================================
L{.handlers}           the paths: which request is answered by which of these parts
L{.body}               from bytes to a JSON value: type, encoding, charset
L{.envelope}           the parts of a request, and its mistakes
L{.items}              the grammar of items, and their messages
L{.batch}              the items under way, and which answer belongs to which
L{.batches}            all batches under way, so that a kick ends those of its user
L{.results}            the JSON texts of results
L{.rates}              the limits of messages and bytes of one user
L{.document}           the description of the API for programs (OpenAPI)
=====================  ==================================================================================
"""
