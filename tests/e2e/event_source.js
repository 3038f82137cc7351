// Reads a stream with the EventSource of Node.js, as a page does. Prints what it hears as lines of JSON.
'use strict'

// The wait for a reconnection does not keep the process alive.
setInterval(() => {}, 60000)
const source = new EventSource(process.argv[2])

function print (type, more) {
  console.log(JSON.stringify({ type, ...more }))
}

source.onopen = () => print('open')
// A connection error has no data.
source.onerror = event => print('error', { data: event.data ? JSON.parse(event.data) : null })
for (const type of ['emit', 'record', 'deleted']) {
  source.addEventListener(type, event => print(type, { id: event.lastEventId, data: JSON.parse(event.data) }))
}
