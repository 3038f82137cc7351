'use strict'

// What is particular to clients of v2 and v3, which speak the text protocol.

const deepstream = require('deepstream.io-client-js')

exports.make = (url, options) => {
  const client = deepstream(url, Object.assign({ silentDeprecation: true, reconnectIntervalIncrement: 100, maxReconnectAttempts: 1000 }, options))
  return {
    client,
    listen (pattern, onOffer, onStop) {
      client.event.listen(pattern, (name, isSubscribed, response) => (isSubscribed ? onOffer(name, response) : onStop(name)))
    },
    pending () {
      const listeners = client.event._listener
      return [
        ...Object.keys(client._ackTimeoutRegistry._register),
        ...client._connection._queuedMessages,
        ...Object.keys(listeners).filter((pattern) => listeners[pattern].destroyPending).map((pattern) => 'unlisten ' + pattern)
      ]
    }
  }
}
