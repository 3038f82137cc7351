'use strict'

// What is particular to clients of v4 and later, which speak the protobuf protocol.

const { DeepstreamClient } = require('@deepstream/client')

exports.make = (url, options) => {
  const client = new DeepstreamClient(url, Object.assign({ reconnectIntervalIncrement: 100, maxReconnectAttempts: 1000 }, options))
  const { timeoutRegistry } = client.services
  const bulk = client.event.bulkSubscription
  return {
    client,
    listen (pattern, onOffer, onStop) {
      client.event.listen(pattern, (name, response) => {
        response.onStop(onStop)
        onOffer(name, response)
      })
    },
    pending () {
      return [...timeoutRegistry.register.keys(), ...bulk.subscribeNames, ...bulk.unsubscribeNames].map(String)
    }
  }
}
