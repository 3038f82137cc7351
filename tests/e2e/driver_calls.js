'use strict'

/*
 * The verbs of RPC and presence.
 *
 * Of the generation: provider(answer) makes a provider of answer(data, response, requestor); watchUsers(user, callback),
 * unwatchUsers(user, callback) and online(users, settle), where no user and no users mean everybody, and the callback
 * is called with the user and whether he is online.
 */

const { spell, unspell } = require('./spelling.js')

module.exports = {
  /*
   * behaviour: echo the data, reject, {error: text}, hold (accept, answer on demand), silence (do not even accept), or
   * {later: behaviour}: accept first, and do that a turn later.
   */
  provide (name, behaviour) {
    this.held = this.held || new Map()
    const behave = (response, data, behaviour) => {
      if (behaviour === 'echo') response.send(data)
      else if (behaviour === 'reject') response.reject()
      else if (behaviour === 'hold') response.accept ? response.accept() : response.ack()
      else if (behaviour === 'silence') response.autoAck = response.autoAccept = false
      else if (behaviour.error) response.error(behaviour.error)
      else if (behaviour.later) setTimeout(() => behave(response, data, behaviour.later), 20)
    }
    this.client.rpc.provide(name, (data, response, requestor) => {
      this.report('request', { name, data: spell(data), requestor: spell(requestor) })
      this.held.set(name, response)
      behave(response, data, behaviour)
    })
  },

  unprovide (name) {
    this.client.rpc.unprovide(name)
  },

  /* Answer the last request of that name. */
  answer (name, text) {
    this.held.get(name).send(unspell(text))
  },

  make (name, text, form) {
    return this.start((settle) => (form === 'promise' ? this.client.rpc.make(name, unspell(text)) : void this.client.rpc.make(name, unspell(text), settle)))
  },

  watchUsers (user) {
    const callback = (name, online) => this.report('presence', { of: user, user: name, online })
    this.callbacks.set(`presence ${user}`, callback)
    this.library.watchUsers(user, callback)
  },

  unwatchUsers (user) {
    this.library.unwatchUsers(user, this.callbacks.get(`presence ${user}`))
  },

  online (users) {
    return this.start((settle) => this.library.online(users, settle))
  }
}
