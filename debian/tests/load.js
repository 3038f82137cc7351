// Usage: node load.js HOST:PORT FILE [tls]
// Writes records until SIGTERM, reconnecting as the client does by itself; FILE gets the names whose writes were acknowledged.
//        node load.js HOST:PORT FILE [tls] check
// Reads the records named in FILE, and fails if one is missing.
const fs = require('fs')
const { DeepstreamClient } = require('@deepstream/client')

const [address, file, ...words] = process.argv.slice(2)
const url = (words.includes('tls') ? 'wss://' : 'ws://') + address
const client = new DeepstreamClient(url, { reconnectIntervalIncrement: 100, maxReconnectInterval: 500, maxReconnectAttempts: 1000 })
client.on('error', (error, event) => console.error('client:', event, String(error).slice(0, 200)))

async function write () {
  const out = fs.openSync(file, 'w')
  let going = true
  let count = 0
  process.on('SIGTERM', () => { going = false })
  while (going) {
    const name = `load/${count++}`
    try {
      // A write whose acknowledgement is lost with the connection is not counted.
      await Promise.race([
        client.record.setDataWithAck(name, { count }),
        new Promise((resolve, reject) => setTimeout(() => reject(new Error('no acknowledgement')), 1000))
      ])
      fs.writeSync(out, name + '\n')
    } catch (error) {
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  console.log(`wrote ${count}`)
  process.exit(0)
}

async function check () {
  const names = fs.readFileSync(file, 'utf8').split('\n').filter(Boolean)
  let lost = 0
  for (const name of names) {
    const data = await client.record.snapshot(name)
    if (!data || `load/${data.count - 1}` !== name) lost++
  }
  console.log(`acknowledged ${names.length}, lost ${lost}`)
  process.exit(lost || !names.length ? 1 : 0)
}

client.login().then(words.includes('check') ? check : write)
