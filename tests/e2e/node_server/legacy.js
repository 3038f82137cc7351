// The connector for servers 2 and 3, as such a server calls it: node legacy.js PORT, and a JSON text for each call:
// ["set", "name", {"_v": 1, "_d": {}}], ["get", "name"] or ["delete", "name"]. Prints the answers as one JSON array.
const CacheConnector = require('deepstream.io-cache-redis')

const cache = new CacheConnector({ host: '127.0.0.1', port: Number(process.argv[2]) })
const call = ([method, ...args]) => new Promise((resolve, reject) => {
  cache[method](...args, (error, result) => error ? reject(error) : resolve(result === undefined ? null : result))
})

cache.on('error', (error) => { throw new Error(error) })
cache.on('ready', async () => {
  const answers = []
  for (const text of process.argv.slice(3)) answers.push(await call(JSON.parse(text)))
  console.log(JSON.stringify(answers))
  cache.on('close', () => process.exit(0))
  cache.close()
})
