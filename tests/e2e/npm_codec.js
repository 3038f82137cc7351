// Puts the official JavaScript codec at the service of test_npm_codec.py.
//
//     node npm_codec.js <node_modules>
//
// Each line on stdin is a JSON object and is answered by one line on stdout:
//
//     {"encode": {"topic": 4, "action": 2, "name": "e1"}}   {"frame": "<hex>"}
//     {"decode": "<hex>"}                                   {"message": {...}}
//
// and by {"error": "..."} where the library throws. requestorData is a value, not JSON text, on both sides, as the
// library has it for its own users.
'use strict'

const readline = require('readline')

const from = (file) => require(require.resolve('@deepstream/protobuf/dist/src/' + file, { paths: [process.argv[2]] }))
const { getMessage } = from('message-builder')
const { parse, parseData } = from('message-parser')

const answer = (request) => {
  if (request.encode) {
    return { frame: Buffer.from(getMessage(request.encode, false)).toString('hex') }
  }
  const [message] = parse(Buffer.from(request.decode, 'hex'))
  parseData(message) // throws, as it does in a client, if data is not JSON
  delete message.parsedData
  return { message }
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  let reply
  try {
    reply = answer(JSON.parse(line))
  } catch (error) {
    reply = { error: String(error) }
  }
  process.stdout.write(JSON.stringify(reply) + '\n')
})
