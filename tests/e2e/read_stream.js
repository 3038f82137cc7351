// Reads a stream of server-sent events with fetch, and prints each block of lines as JSON, but for heartbeats. Ends after
// so many blocks.
'use strict'

const [url, count, token] = process.argv.slice(2)

async function read () {
  const answer = await fetch(url, { headers: token ? { authorization: `Bearer ${token}` } : {} })
  const blocks = []
  let rest = ''
  for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + piece).split('\n\n')
    rest = parts.pop()
    for (const block of parts.filter(block => block !== ':')) {
      blocks.push(block)
      console.log(JSON.stringify(block))
      if (blocks.length === Number(count)) process.exit(0)
    }
  }
}

read()
