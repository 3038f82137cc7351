'use strict'

/*
 * Many clients of one generation, driven line by line.
 *
 *   node driver.js v2|v7
 *
 * stdin   {"id": 7, "client": "ann", "verb": "emit", "args": ["news", "\"hello\""]}
 * stdout  {"id": 7, "result": ...}   or   {"id": 7, "failure": "text"}
 *         {"client": "ann", "kind": "event", ...}      whatever happens, in the order in which it happens
 *         {"kind": "console", "text": "Warning: ..."}  what a client prints
 *         {"kind": "fatal", "text": "stack"}           an exception escaped a client: the last line
 *
 * Values travel as text in JavaScript's own spelling ("undefined", "-0", else JSON), so that nothing on the way to the test
 * can make two of them look alike.
 */

const readline = require('readline')
const util = require('util')
const { spell, unspell } = require('./spelling.js')

const say = (line) => process.stdout.write(JSON.stringify(line) + '\n')

for (const method of ['log', 'info', 'warn', 'error', 'trace']) {
  console[method] = (...args) => say({ kind: 'console', text: util.format(...args) })
}
for (const escape of ['uncaughtException', 'unhandledRejection']) {
  process.on(escape, (error) => {
    process.stdout.write(JSON.stringify({ kind: 'fatal', text: String((error && error.stack) || error) }) + '\n', () => process.exit(1))
  })
}

const generation = require({ v2: './client_v2.js', v7: './client_v7.js' }[process.argv[2]])
const clients = new Map()

/*
 * The verbs; those of records, RPC and presence are in files of their own. "make" is given by the generation and yields
 * the part that differs: client (the library's object), pending(), unsent(), listen(topic, pattern, onOffer, onStop), and
 * what the comments in those files name.
 */
class Driven {
  constructor (name, url, options) {
    this.callbacks = new Map()
    this.outcomes = 0
    this.report = (kind, fields) => say({ client: name, kind, ...fields })
    this.library = generation.make(url, options)
    this.client = this.library.client
    this.client.on('error', (message, event, topic) => {
      this.report('error', { event: String(event), topic: String(topic), message: util.format((message && message.message) || message).slice(0, 300) })
    })
    this.client.on('connectionStateChanged', (state) => this.report('state', { state: state }))
    this.client.on('reauthenticationFailure', (reason) => this.report('reauthenticationFailure', { reason }))
    this.client.on('clientDataChanged', (data) => this.report('clientDataChanged', { data: spell(data) }))
  }

  login (credentials) {
    this.client.login(credentials, (success, data) => this.report('login', { success, data: spell(data) }))
  }

  state () {
    return this.client.getConnectionState()
  }

  close () {
    this.client.close()
  }

  subscribe (name) {
    const callback = (...args) => this.report('event', { name, value: spell(args[0]), args: args.length })
    this.callbacks.set(name, callback)
    this.client.event.subscribe(name, callback)
  }

  unsubscribe (name) {
    this.client.event.unsubscribe(name, this.callbacks.get(name))
    this.callbacks.delete(name)
  }

  emit (name, ...values) {
    this.client.event.emit(name, ...values.map(unspell))
  }

  burst (name, count) {
    for (let number = 0; number < count; number++) this.client.event.emit(name, number)
  }

  /*
   * topic: event or record. policy: what to answer by name, and what otherwise; anything but accept and reject is
   * silence, and of a list one after the other, the last for good.
   */
  listen (topic, pattern, policy) {
    const answer = (name, response) => {
      let choice = name in policy.names ? policy.names[name] : policy.otherwise
      if (Array.isArray(choice)) choice = choice.length > 1 ? choice.shift() : choice[0]
      this.report('offer', { pattern, name, answer: choice })
      if (choice === 'accept') response.accept()
      if (choice === 'reject') response.reject()
    }
    this.library.listen(topic, pattern, answer, (name) => this.report('stop', { pattern, name }))
  }

  unlisten (topic, pattern) {
    this.client[topic].unlisten(pattern)
  }

  /* What arrives from now on is kept, and taken in order when the client hears again. */
  deafen () {
    const socket = this.library.socket()
    const take = socket.onmessage
    const kept = []
    socket.onmessage = (message) => kept.push({ data: message.data })
    this.hearing = () => {
      socket.onmessage = take
      kept.forEach((message) => take(message))
    }
  }

  hear () {
    this.hearing()
  }

  /* v7 only: go offline, and come back. */
  pause () {
    this.client.pause()
  }

  resume () {
    return this.client.resume()
  }

  /*
   * Start what ends with one answer: ask(settle) calls back settle(error, value), or gives a promise. Yields the number
   * under which the outcome is reported, once it is there.
   */
  start (ask) {
    const id = ++this.outcomes
    let settled = false
    const settle = (failed, error, value) => {
      if (settled) this.report('error', { event: 'CALLED_TWICE', topic: 'DRIVER', message: `${id}: ${error} ${spell(value)}` })
      settled = true
      this.report('outcome', { number: id, failed, error: typeof error === 'string' ? error : spell(error), value: spell(value) })
    }
    const promise = ask((error, value) => settle(Boolean(error), error, value))
    if (promise && promise.then) promise.then((value) => settle(false, null, value), (error) => settle(true, error))
    return id
  }

  /* The requests of the client that wait for an answer. */
  pending () {
    return this.library.pending()
  }

  sleep (milliseconds) {
    return new Promise((resolve) => setTimeout(resolve, milliseconds))
  }

  /* Resolves when the client has sent everything: a client of v7 gathers subscriptions for a while. */
  sent () {
    return new Promise((resolve) => {
      const look = () => (this.library.unsent().length === 0 ? resolve() : setTimeout(look, 1))
      look()
    })
  }

  /* Resolves when the server has acknowledged everything that it has to acknowledge. */
  settle () {
    return new Promise((resolve, reject) => {
      const deadline = Date.now() + 45000
      const look = () => {
        const pending = this.library.pending()
        if (pending.length === 0) resolve()
        else if (Date.now() > deadline) reject(new Error('not acknowledged: ' + pending.join(', ')))
        else setTimeout(look, 5)
      }
      look()
    })
  }
}

Object.assign(Driven.prototype, require('./driver_records.js'), require('./driver_calls.js'))

const run = async ({ client, verb, args }) => {
  if (verb === 'connect') {
    clients.set(client, new Driven(client, ...args))
    return undefined
  }
  return clients.get(client)[verb](...args)
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const command = JSON.parse(line)
  run(command).then(
    (result) => say({ id: command.id, result: result === undefined ? null : result }),
    (error) => say({ id: command.id, failure: String(error.stack || error) })
  )
}).on('close', () => process.exit(0))

say({ kind: 'ready' })
