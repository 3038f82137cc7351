// Usage: node clients.js HOST:PORT [tls]
// Both official clients write a record and read what the other one wrote.
const { DeepstreamClient } = require('@deepstream/client')
const old = require('deepstream.io-client-js')

const [address, tls] = process.argv.slice(2)
const url = (tls ? 'wss://' : 'ws://') + address

function fail (error) {
  console.error(error)
  process.exit(1)
}
setTimeout(() => fail('no answer for 20 s'), 20000)

const today = new DeepstreamClient(url)
const yesterday = old(url, { silentDeprecation: true })
today.on('error', (error, event) => fail(`7.x: ${event} ${error.message || error}`))
yesterday.on('error', (error, event) => fail(`2.3.4: ${event} ${error}`))

yesterday.login({}, async (success, data) => {
  if (!success) fail(data)
  await today.login()
  await today.record.setDataWithAck('package/today', { from: '7.x' })
  await new Promise((resolve) => yesterday.record.setData('package/yesterday', { from: '2.3.4' }, (error) => error ? fail(error) : resolve()))
  const seen = await today.record.snapshot('package/yesterday')
  if (seen.from !== '2.3.4') fail(`7.x read ${JSON.stringify(seen)}`)
  yesterday.record.snapshot('package/today', (error, data) => {
    if (error || data.from !== '7.x') fail(error || `2.3.4 read ${JSON.stringify(data)}`)
    console.log('both clients wrote and read')
    process.exit(0)
  })
})
