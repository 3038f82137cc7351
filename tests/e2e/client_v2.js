'use strict'

// What is particular to clients of v2 and v3, which speak the text protocol.

const deepstream = require('deepstream.io-client-js')

exports.make = (url, options) => {
  const client = deepstream(url, Object.assign({ silentDeprecation: true, reconnectIntervalIncrement: 100, maxReconnectAttempts: 1000 }, options))
  const wrapped = new Map()
  const watched = new WeakSet()
  // Callbacks for one user get the arguments the other way round.
  const turned = (user, callback) => {
    if (user === null) return callback
    if (!wrapped.has(callback)) wrapped.set(callback, (online, name) => callback(name, online))
    return wrapped.get(callback)
  }
  return {
    client,
    socket: () => client._connection._endpoint,
    listen (topic, pattern, onOffer, onStop) {
      client[topic].listen(pattern, (name, isSubscribed, response) => (isSubscribed ? onOffer(name, response) : onStop(name)))
    },
    pending () {
      const { _pendingSubscribes, _pendingUnsubscribes } = client.presence
      const names = [...Object.keys(client._ackTimeoutRegistry._register), ...client._connection._queuedMessages]
      names.push(...Object.keys(_pendingSubscribes), ...Object.keys(_pendingUnsubscribes))
      for (const topic of ['event', 'record']) {
        const listeners = client[topic]._listener
        names.push(...Object.keys(listeners).filter((pattern) => listeners[pattern].destroyPending).map((pattern) => 'unlisten ' + pattern))
      }
      return names
    },
    unsent: () => client._connection._queuedMessages,
    core: (object) => object._record || object,
    watch (object, report) {
      const record = object._record || object
      if (watched.has(record)) return
      watched.add(record)
      for (const event of ['ready', 'discard', 'delete', 'hasProviderChanged']) record.on(event, (...details) => report(event, ...details))
    },
    strategy: (merge) => (record, remote, version, done) => merge(record.get(), remote, done),
    watchUsers (user, callback) {
      client.presence.subscribe(...(user === null ? [] : [user]), turned(user, callback))
    },
    // Everybody is left without a callback only.
    unwatchUsers (user, callback) {
      if (user === null) client.presence.unsubscribe()
      else client.presence.unsubscribe(user, turned(user, callback))
    },
    online (users, settle) {
      client.presence.getAll(...(users === null ? [] : [users]), (result) => settle(null, result))
    }
  }
}
