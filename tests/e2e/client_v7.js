'use strict'

// What is particular to clients of v4 and later, which speak the protobuf protocol.

const { createRequire } = require('module')

// The directory in which another version of the client is installed (make old-clients). Version 4 exports the class itself.
const library = (process.env.CLIENT_V7 ? createRequire(process.env.CLIENT_V7 + '/') : require)('@deepstream/client')
const DeepstreamClient = library.DeepstreamClient || library
const { TOPIC, RECORD_ACTION } = require('@deepstream/protobuf/dist/types/all')

// What clients from 7.1 on send for several paths in one step.
const PATCH_MULTI = 35

exports.make = (url, options) => {
  const client = new DeepstreamClient(url, Object.assign({ reconnectIntervalIncrement: 100, maxReconnectAttempts: 1000 }, options))
  const { connection, timeoutRegistry } = client.services
  const { bulkSubscriptionService, writeAckService } = client.record.recordServices
  const bulks = [client.event, client.rpc, client.presence].map((topic) => topic.bulkSubscription).concat(Object.values(bulkSubscriptionService))
  const watched = new WeakSet()
  return {
    client,
    socket: () => connection.endpoint,
    listen (topic, pattern, onOffer, onStop) {
      client[topic].listen(pattern, (name, response) => {
        response.onStop(onStop)
        onOffer(name, response)
      })
    },
    pending () {
      return [timeoutRegistry.register.keys(), ...bulks.flatMap((bulk) => [bulk.subscribeNames, bulk.unsubscribeNames])].flatMap((names) => [...names]).map(String)
    },
    unsent () {
      const loading = client.record.names().filter((name) => client.record.recordCores.get(name).recordState === 'LOADING_OFFLINE')
      return bulks.flatMap((bulk) => [...bulk.subscribeNames, ...bulk.unsubscribeNames]).concat(loading)
    },
    // Call back once, in the turn in which the client has sent its next SUBSCRIBEANDHEAD.
    afterResubscribing (callback) {
      const send = connection.sendMessage
      connection.sendMessage = (message) => {
        send.call(connection, message)
        if (message.topic === TOPIC.RECORD && message.action === RECORD_ACTION.SUBSCRIBEANDHEAD) {
          connection.sendMessage = send
          callback()
        }
      }
    },
    core: (object) => object.record,
    // The part that all handles to a record share: handles lose their events when another one is discarded.
    watch (object, report) {
      const core = object.record
      if (watched.has(core)) return
      watched.add(core)
      const emit = core.emit
      core.emit = (event, ...details) => {
        report(event, ...details)
        return emit.call(core, event, ...details)
      }
    },
    strategy: (merge) => (local, localVersion, remote, remoteVersion, done) => merge(local, remote, done),
    patchMulti (name, version, changes, start) {
      const message = { topic: TOPIC.RECORD, action: PATCH_MULTI, name, version, parsedData: changes }
      if (start) return start((settle) => writeAckService.send(message, settle))
      connection.sendMessage(message)
    },
    watchUsers (user, callback) {
      client.presence.subscribe(...(user === null ? [] : [user]), callback)
    },
    unwatchUsers (user, callback) {
      client.presence.unsubscribe(...(user === null ? [] : [user]), callback)
    },
    online (users, settle) {
      client.presence.getAll(...(users === null ? [] : [users]), settle)
    }
  }
}
