'use strict'

/*
 * The verbs of records, lists and anonymous records. Each works on what was opened under a key.
 *
 * Of the generation: core(object) is the record in it, watch(object, report) has events of that reported, strategy(merge) makes a merge strategy of
 * merge(local, remote, done).
 */

const { spell, unspell, canonical } = require('./spelling.js')

// What both generations can be told to do with a conflict.
const merges = {
  local: (local, remote, done) => done(null, local),
  remote: (local, remote, done) => done(null, remote),
  join: (local, remote, done) => done(null, { ...remote, ...local }),
  fail: (local, remote, done) => done('no way to merge', null)
}

module.exports = {
  /* Open a record or list; it is ready when "ready" yields. kind: Record or List. */
  open (key, kind, name) {
    const object = this.client.record['get' + kind](name)
    this.objects = this.objects || new Map()
    this.objects.set(key, object)
    this.library.watch(object, (event, ...details) => {
      if (event === 'error') this.report('error', { event: String(details[0]), topic: 'RECORD', message: `${name} ${details[1]}` })
      else this.report('record', { name, event, details: spell(details[0]) })
    })
    if (kind === 'List') {
      for (const event of ['entry-added', 'entry-removed', 'entry-moved']) {
        object.on(event, (entry, index) => this.report('entry', { key, event, entry, index }))
      }
    }
  },

  /* Ask for a snapshot, and open the record in the same turn. */
  snapshotAndOpen (key, name) {
    this.client.record.snapshot(name, () => undefined)
    module.exports.open.call(this, key, 'Record', name)
  },

  /* Hear until the record of that key is deleted, open it again in the same turn, and keep what arrives from then on. */
  hearAndReopen (key, name, again) {
    const reopened = new Promise((resolve) => this.objects.get(key).on('delete', resolve)).then(() => {
      this.deafen()
      this.open(again, 'Record', name)
    })
    this.hear()
    return reopened
  },

  /*
   * Open that many records, which a client of v7 asks for in one message. Resolves when all are ready: with how many
   * events called tick came after the first was ready and before the last.
   */
  openMany (prefix, count, tick) {
    this.objects = this.objects || new Map()
    let ready = 0
    let between = 0
    const hear = () => { if (ready > 0) between++ }
    this.client.event.subscribe(tick, hear)
    return new Promise((resolve) => {
      for (let number = 0; number < count; number++) {
        const record = this.client.record.getRecord(prefix + number)
        this.objects.set(prefix + number, record)
        record.whenReady(() => {
          if (++ready < count) return
          this.client.event.unsubscribe(tick, hear)
          resolve(between)
        })
      }
    })
  },

  openAnonymous (key) {
    this.objects = this.objects || new Map()
    this.objects.set(key, this.client.record.getAnonymousRecord())
  },

  ready (key) {
    return this.objects.get(key).whenReady().then(() => undefined)
  },

  setName (key, name) {
    const object = this.objects.get(key)
    return new Promise((resolve) => {
      // v2 raises an event, v7 calls back.
      if (object.once) object.once('ready', () => resolve())
      object.setName(name, () => resolve())
    })
  },

  get (key, path) {
    const object = this.objects.get(key)
    return spell(object.getEntries ? object.getEntries() : path === null ? object.get() : object.get(path))
  },

  version (key) {
    return this.objects.get(key).version
  },

  /* Make the client believe that the record has that version. */
  misjudge (key, version) {
    this.library.core(this.objects.get(key)).version = version
  },

  hasProvider (key) {
    return this.library.core(this.objects.get(key)).hasProvider
  },

  /* Resolves when the value is there. */
  until (key, path, text) {
    const wanted = canonical(unspell(text))
    const deadline = Date.now() + 45000
    return new Promise((resolve, reject) => {
      const look = () => {
        const object = this.objects.get(key)
        const value = object.getEntries ? object.getEntries() : path === null ? object.get() : object.get(path)
        if (canonical(value) === wanted) resolve()
        else if (Date.now() > deadline) reject(new Error(`${key} ${path} is ${spell(value)} (version ${object.version}), not ${text}`))
        else setTimeout(look, 5)
      }
      look()
    })
  },

  set (key, path, text) {
    const object = this.objects.get(key)
    if (path === null) object.set(unspell(text))
    else object.set(path, unspell(text))
  },

  /* v7 only: come back online, write to a record before the client asks for its version, and again before the answer. */
  resumeAndWrite (key, path, first, second) {
    const object = this.objects.get(key)
    this.library.afterResubscribing(() => object.set(path, unspell(second)))
    return this.client.resume().then(() => object.set(path, unspell(first)))
  },

  /* Many sets in one turn, each [path, text]. */
  setAll (key, writes) {
    writes.forEach(([path, text]) => this.set(key, path, text))
  },

  /* form: callback or promise */
  setWithAck (key, path, text, form) {
    const object = this.objects.get(key)
    const what = path === null ? [unspell(text)] : [path, unspell(text)]
    return this.start((settle) => (form === 'promise' ? object.setWithAck(...what) : void object.setWithAck(...what, settle)))
  },

  /* v2 has no erase of its own: it sets undefined. */
  erase (key, path) {
    const object = this.objects.get(key)
    if (object.erase) object.erase(path)
    else object.set(path, undefined)
  },

  eraseWithAck (key, path) {
    const object = this.objects.get(key)
    return this.start((settle) => void (object.eraseWithAck ? object.eraseWithAck(path, settle) : object.set(path, undefined, settle)))
  },

  subscribeRecord (key, path, now) {
    const object = this.objects.get(key)
    const callback = (value) => this.report('change', { key, path, value: spell(value) })
    this.callbacks.set(`${key} ${path}`, callback)
    object.subscribe(...(path === null ? [] : [path]), callback, now)
  },

  unsubscribeRecord (key, path) {
    const callback = this.callbacks.get(`${key} ${path}`)
    this.objects.get(key).unsubscribe(...(path === null ? [] : [path]), callback)
  },

  discard (key) {
    this.objects.get(key).discard()
  },

  /*
   * Resolves when the client has let go of a discarded record. Got again a moment earlier it would never be ready in a
   * client of v7.
   */
  gone (name) {
    const names = () => (this.client.record.names ? this.client.record.names() : this.client.record.recordNames())
    return new Promise((resolve) => {
      const look = () => (names().includes(name) ? setTimeout(look, 1) : resolve())
      look()
    })
  },

  /* Set with a callback, and let go of the record in the same turn. how: delete or discard */
  setAndLetGo (key, text, how) {
    const object = this.objects.get(key)
    return this.start((settle) => {
      object.set(unspell(text), settle)
      const promise = object[how]()
      if (promise && promise.catch) promise.catch(() => undefined)
    })
  },

  /* v7 answers too, v2 raises the event only. */
  deleteRecord (key) {
    const promise = this.objects.get(key).delete()
    if (promise && promise.then) return this.start(() => promise)
  },

  setMergeStrategy (key, name, which) {
    this.objects.get(key).setMergeStrategy(this.library.strategy((local, remote, done) => {
      this.report('merge', { name, local: spell(local), remote: spell(remote) })
      merges[which](local, remote, done)
    }))
  },

  setEntries (key, entries) {
    this.objects.get(key).setEntries(entries)
  },

  setEntriesWithAck (key, entries, form) {
    const list = this.objects.get(key)
    return this.start((settle) => (form === 'promise' ? list.setEntriesWithAck(entries) : void list.setEntriesWithAck(entries, settle)))
  },

  addEntry (key, entry, index) {
    this.objects.get(key).addEntry(entry, index === null ? undefined : index)
  },

  removeEntry (key, entry, index) {
    this.objects.get(key).removeEntry(entry, index === null ? undefined : index)
  },

  /* what: snapshot, has or head */
  look (what, name, form) {
    return this.start((settle) => (form === 'promise' ? this.client.record[what](name) : void this.client.record[what](name, settle)))
  },

  setData (name, path, text) {
    this.client.record.setData(name, ...(path === null ? [] : [path]), unspell(text))
  },

  setDataWithAck (name, path, text, form) {
    const what = path === null ? [name, unspell(text)] : [name, path, unspell(text)]
    return this.start((settle) => (form === 'promise' ? this.client.record.setDataWithAck(...what) : void this.client.record.setDataWithAck(...what, settle)))
  },

  /* v7 only: a write as a client of v7.1 sends it, several paths in one step. */
  patchMulti (name, version, changes, withAck) {
    return this.library.patchMulti(name, version, changes, withAck ? (ask) => this.start((settle) => void ask(settle)) : null)
  },

  /* v7 only: these records were changed behind the server's back. */
  notify (names) {
    return this.start((settle) => void this.client.record.notify(names, settle))
  }
}
