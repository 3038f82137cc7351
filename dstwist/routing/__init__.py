"""
From a request to its topic, and from a name to its subscribers and providers.

==========================  ================================================================================
L{.router}                  name limits, permission, then the topic's service
L{.subscriptions}           the subscribers of each name, and the fan-out to them
L{.listeners}               clients that listen to patterns, and their answers
L{.provider_search}         which listener is asked about a name next; L{.registrations}, L{.offers},
                            L{.pending_decisions}, L{.new_listeners}, L{.rematch} and L{.own_subscriptions} are its
                            parts
L{.providers}               the listeners that provide a name
==========================  ================================================================================
"""
