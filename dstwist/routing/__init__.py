"""
From a request to its topic, and from a name to its subscribers and providers.

==========================  ================================================================================
L{.router}                  limits on names, permission, then the topic's service
L{.subscriptions}           which connection is subscribed to which name
L{.fan_out}                 the subscribers of each name by wire: encode once, write many
L{.listeners}               what clients say that listen to patterns
L{.registrations}           which connections listen to which patterns
L{.provider_assignment}     which listener provides which name; L{.providers}, L{.new_listeners}, L{.rematch} and
                            L{.own_subscriptions} are its parts
L{.provider_search}         asks listeners about one name, one after the other, until one accepts;
                            L{.search_order}, L{.offers} and L{.pending_decisions} are its parts
==========================  ================================================================================
"""
