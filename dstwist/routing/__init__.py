"""
From a request to its topic, and from a name to its subscribers and providers.

==========================  ================================================================================
L{.router}                  limits on names, permission, then the topic's service
L{.subscriptions}           which connection is subscribed to which name
L{.subscription_requests}   the requests of clients to subscribe and to unsubscribe, and their answers;
                            L{.held_answers}: those that wait for the bus
L{.fan_out}                 the subscribers of each name by wire: encode once, write many
L{.listeners}               the clients that listen to patterns, and their requests
L{.registrations}           which connections listen to which patterns
L{.provider_assignment}     which listener provides which name; L{.providers}, L{.new_listeners}, L{.rematch} and
                            L{.sole_subscribers} are its parts
L{.topic_searches}          asks listeners about one name, one after the other, until one accepts;
                            L{.provider_search}, L{.offers} and L{.pending_decisions} are its parts
==========================  ================================================================================
"""
