'use strict'

/*
 * Clients of one generation that do random things to shared records, for soak.py.
 *
 *   node soak.js v2|v7 URL COUNT SEED
 *
 * stdin   {"id": 1, "verb": "start"}   the verbs are at the end
 * stdout  {"id": 1, "result": ...}, or {"fatal": "stack"} when an exception escaped a client
 */

const readline = require('readline')
const { canonical } = require('./spelling.js')

const [generation, url, count, seed] = process.argv.slice(2)
const library = require({ v2: './client_v2.js', v7: './client_v7.js' }[generation])

const RECORDS = ['soak/a', 'soak/b', 'soak/c']
const LISTS = ['soak/list']
const NAMES = [...RECORDS, ...LISTS]
const KEPT = 300

const say = (line) => process.stdout.write(JSON.stringify(line) + '\n')
const counts = {}
const tally = (what) => { counts[what] = (counts[what] || 0) + 1 }
const traces = new Map(NAMES.map((name) => [name, []]))
const writes = []
// When a client of v7 sent a READ that it still waits for.
const reads = new Map()
let heard = Date.now()
let working = false

for (const method of ['log', 'info', 'warn', 'error', 'trace']) console[method] = () => tally('printed')
for (const escape of ['uncaughtException', 'unhandledRejection']) {
  process.on(escape, (error) => say({ fatal: String((error && error.stack) || error), at: Date.now() }))
}

// Mulberry32: the same numbers for the same seed.
let state = Number(seed) * 2 + (generation === 'v7' ? 1 : 0)
const random = () => {
  state = (state + 0x6D2B79F5) | 0
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}
const below = (limit) => Math.floor(random() * limit)
const pick = (choices) => choices[below(choices.length)]

const trace = (client, direction, text) => {
  if (direction === '<') heard = Date.now()
  for (const [name, lines] of traces) {
    if (!text.includes(name)) continue
    lines.push([Date.now(), `${client} ${direction} ${text.slice(0, 300)}`])
    if (lines.length > KEPT * 4) lines.splice(0, lines.length - KEPT * 4)
  }
}

const readable = (text) => String(text).replace(/\x1f/g, '|').replace(/\x1e/g, '+')

/* Note all messages about records that a client sends and receives. */
const eavesdrop = {
  v2 (name, client) {
    const { _connection: connection } = client
    const submit = connection._submit
    const receive = connection._onMessage
    connection._submit = (message) => {
      readable(message).split('+').filter((part) => part.startsWith('R|')).forEach((part) => trace(name, '>', part))
      return submit.call(connection, message)
    }
    connection._onMessage = (message) => {
      readable(message.data).split('+').filter((part) => part.startsWith('R|')).forEach((part) => trace(name, '<', part))
      try {
        return receive.call(connection, message)
      } catch (error) {
        error.stack += `\n${name} has received ${readable(message.data).slice(0, 300)}`
        throw error
      }
    }
    // The first socket has the old function already.
    connection._endpoint.onmessage = connection._onMessage
  },
  v7 (name, client) {
    const { connection } = client.services
    const { TOPIC, RECORD_ACTION } = require('@deepstream/protobuf/dist/types/all')
    const show = ({ topic, action, data, isError, ...rest }) => `${RECORD_ACTION[action]} ${JSON.stringify(rest)}`
    const send = connection.sendMessage
    connection.sendMessage = (message) => {
      if (message.topic === TOPIC.RECORD) trace(name, '>', show(message))
      if (message.topic === TOPIC.RECORD && message.action === RECORD_ACTION.READ) reads.set(`${name} ${message.name}`, Date.now())
      return send.call(connection, message)
    }
    const handle = connection.handlers.get(TOPIC.RECORD)
    connection.handlers.set(TOPIC.RECORD, (message) => {
      trace(name, '<', show(message))
      const isAnswer = message.action === RECORD_ACTION.READ_RESPONSE || message.originalAction === RECORD_ACTION.READ
      if (isAnswer) reads.delete(`${name} ${message.name}`)
      handle(message)
    })
  }
}[generation]

const clean = (data) => {
  if (Array.isArray(data) || data === null || typeof data !== 'object') return data
  const { bad, ...rest } = data
  return rest
}
const isPlain = (data) => data !== null && typeof data === 'object' && !Array.isArray(data)
// A merge that insists on a write that a rule refuses would never come to an end, so none keeps "bad". A client of v7 that
// has no data of its own has null, and waits for ever if that wins; or undefined, if it has taken an error for the record.
const merges = {
  REMOTE_WINS: (local, remote, done) => done(null, remote),
  LOCAL_WINS: (local, remote, done) => done(null, local === null || local === undefined ? remote : clean(local)),
  join: (local, remote, done) => done(null, isPlain(local) && isPlain(remote) ? { ...remote, ...clean(local) } : remote)
}

/* One record or list in one client. It is opened, let go of, and opened again. */
class Copy {
  constructor (owner, name) {
    Object.assign(this, { owner, name, isList: LISTS.includes(name), isOpen: false, waiting: new Set(), merge: 'REMOTE_WINS' })
    this.open()
  }

  open () {
    const { client } = this.owner.library
    const object = this.isList ? client.record.getList(this.name) : client.record.getRecord(this.name)
    Object.assign(this, { object, isOpen: true, isReady: false })
    object.whenReady(() => { if (this.object === object) this.isReady = true })
    this.owner.library.watch(object, (event) => {
      if (event !== 'delete' || this.object !== object) return
      tally('deleted by another client')
      this.excuse('record deleted')
      this.close()
    })
    this.owner.library.core(object).setMergeStrategy(this.owner.library.strategy((local, remote, done) => {
      tally('merges')
      this.excuse('merge')
      merges[this.merge](local, remote, done)
    }))
    tally('opened')
  }

  excuse (why) {
    for (const write of this.waiting) write.excuses.push(why)
  }

  /*
   * Open again when the client has let go of the record: got earlier, it would never be ready in a client of v7, and a client
   * of v2 would forget it at the acknowledgement for the old one. Both need a connection for that: a client of v2 whose
   * connection breaks before the acknowledgement never lets go.
   */
  close () {
    const { client, core } = this.owner.library
    const old = core(this.object)
    Object.assign(this, { isOpen: false, isReady: false, object: null })
    const isGone = () => (generation === 'v2' ? old.isDestroyed : !client.record.names().includes(this.name))
    const look = () => {
      if (!working) return
      if (this.owner.isConnected && isGone()) this.open()
      else setTimeout(look, 20)
    }
    setTimeout(look, 50 + below(1500))
  }

  /* A callback that must be called once. */
  callback (what) {
    const write = { client: this.owner.name, name: this.name, what, calls: [], excuses: [], at: Date.now() }
    writes.push(write)
    this.waiting.add(write)
    return (error) => {
      write.calls.push(error === undefined ? null : error)
      this.waiting.delete(write)
      tally(error ? 'callbacks with an error' : 'callbacks without an error')
    }
  }

  act () {
    if (!this.isReady) return
    // A client of v7 that has taken an error for the record throws on writes until the server sends it the record.
    if (this.owner.library.core(this.object).data === undefined && generation === 'v7') return tally('no data')
    tally(this.isList ? this.chooseForList() : this.chooseForRecord())
  }

  set (what, ...args) {
    if (random() < 0.4) args.push(this.callback(`${what} ${canonical(args)}`))
    this.object.set(...args)
    return what
  }

  leaf () {
    return pick([below(1000), `text${below(1000)}`, random() < 0.5, null, { deep: below(10) }])
  }

  chooseForRecord () {
    const dice = random()
    if (dice < 0.2) return this.set('set whole', { a: below(1000), b: { c: below(1000) }, d: [below(10), below(10)] })
    if (dice < 0.55) return this.set('set path', pick(['a', 'b.c', 'b.x', 'd[0]', 'd[1]', 'e.f.g']), this.leaf())
    if (dice < 0.65) return this.erase(pick(['a', 'b.c', 'd[0]', 'e']))
    if (dice < 0.75) return this.set('refused', 'bad', below(1000))
    return this.chooseForAny((dice - 0.75) * 4)
  }

  chooseForList () {
    const dice = random()
    const { object } = this
    const entries = object.getEntries()
    if (dice < 0.35) object.addEntry(`entry${below(20)}`)
    else if (dice < 0.6 && entries.length) object.removeEntry(pick(entries))
    else if (dice < 0.75) object.setEntriesWithAck([`entry${below(20)}`, `entry${below(20)}`], this.callback('setEntries'))
    else if (dice >= 0.75) return this.chooseForAny((dice - 0.75) * 4)
    return 'list changed'
  }

  erase (path) {
    const { object } = this
    if (random() < 0.4) {
      const callback = this.callback(`erase ${path}`)
      if (object.eraseWithAck) object.eraseWithAck(path, callback)
      else object.set(path, undefined, callback)
    } else if (object.erase) object.erase(path)
    else object.set(path, undefined)
    return 'erase'
  }

  chooseForAny (dice) {
    if (dice < 0.4) {
      this.merge = pick(Object.keys(merges))
      return 'merge strategy'
    }
    if (dice < 0.6) {
      this.owner.library.client.record.snapshot(this.name, () => tally('snapshots answered'))
      return 'snapshot'
    }
    // A client of v2 throws if the acknowledgement of a write crosses its own deletion or discard (docs/protocol.rst).
    if (generation === 'v2' && this.waiting.size > 0) return 'nothing'
    const { object } = this
    const how = dice < 0.92 ? 'discard' : 'delete'
    this.excuse(how)
    this.close()
    const promise = object[how]()
    if (promise && promise.catch) promise.catch(() => tally('deletions failed'))
    return how
  }
}

class Actor {
  constructor (name) {
    this.name = name
    this.library = library.make(url, { subscriptionInterval: 10, reconnectIntervalIncrement: 50, maxReconnectInterval: 300 })
    const { client } = this.library
    client.on('error', (message, event) => tally(`error ${event}`))
    client.on('connectionStateChanged', (state) => {
      this.isConnected = state === 'OPEN'
      if (this.isConnected) return
      tally('connection states')
      for (const copy of this.copies || []) copy.excuse('connection lost')
    })
    eavesdrop(name, client)
    client.login({ username: name }, () => {
      if (!this.copies) this.copies = NAMES.map((name) => new Copy(this, name))
    })
  }

  run () {
    if (!working) return
    // Now and then two actions in one turn.
    for (let actions = random() < 0.2 ? 2 : 1; actions > 0; actions--) if (this.isConnected && this.copies) pick(this.copies).act()
    setTimeout(() => this.run(), random() < 0.05 ? 2000 : below(300))
  }
}

const actors = Array.from({ length: Number(count) }, (_, number) => new Actor(`${generation}-${number}`))

// What a client thinks of its connection: one of v2 may keep messages that it never sends.
const client = ({ library }) => {
  const { client } = library
  const kept = client._connection ? client._connection._queuedMessages.length : 0
  return `${client.getConnectionState()}, socket ${library.socket().readyState}, ${kept} messages not sent`
}

const verbs = {
  start () {
    working = true
    actors.forEach((actor) => actor.run())
  },
  stop () {
    working = false
  },
  look () {
    const copies = actors.flatMap((actor) => (actor.copies || []).filter((copy) => copy.isOpen).map((copy) => ({
      client: actor.name,
      name: copy.name,
      ready: copy.isReady,
      state: actor.library.core(copy.object).recordState,
      asked: reads.get(`${actor.name} ${copy.name}`),
      socket: actor.library.socket().readyState,
      connection: client(actor),
      version: actor.library.core(copy.object).version,
      value: canonical(copy.isList ? copy.object.getEntries() : copy.object.get())
    })))
    const wrong = writes.filter(({ calls, excuses }) => calls.length > 1 || (calls.length === 0 && excuses.length === 0))
    const excused = {}
    for (const { calls, excuses } of writes) {
      if (calls.length === 0 && excuses.length > 0) excused[excuses[0]] = (excused[excuses[0]] || 0) + 1
    }
    return { silence: Date.now() - heard, copies, wrong, writes: writes.length, excused, counts }
  },
  /* What a fresh client reads. A list that was deleted and made again is {} until somebody sets entries. */
  read (at) {
    const { client } = library.make(at, {})
    const ask = (name) => new Promise((resolve) => {
      const core = client.record.getRecord(name)
      core.whenReady(() => {
        const value = core.get()
        const none = LISTS.includes(name) && !Array.isArray(value)
        resolve([name, { value: canonical(none ? [] : value), version: core.version }])
      })
    })
    return new Promise((resolve) => client.login({ username: 'fresh' }, resolve))
      .then(() => Promise.all(NAMES.map(ask)))
      .then((all) => { client.close(); return Object.fromEntries(all) })
  },
  trace (name) {
    return traces.get(name).slice(-KEPT)
  }
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, verb, args = [] } = JSON.parse(line)
  Promise.resolve().then(() => verbs[verb](...args)).then((result) => say({ id, result: result === undefined ? null : result }))
}).on('close', () => process.exit(0))
