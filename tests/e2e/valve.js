// Evaluates Valve expressions as the Node server does. One JSON line in, {expression, names}; one out, what it came to.
'use strict'

function shown (value) {
  if (value === undefined) return ['undefined']
  if (value === null) return ['null']
  if (typeof value === 'number') return ['number', Object.is(value, -0) ? '-0' : String(value)]
  if (typeof value === 'function') return ['function']
  if (value instanceof RegExp) return ['regex', String(value)]
  if (Array.isArray(value)) return ['array', value.map(shown)]
  if (typeof value === 'object') {
    return ['object', Object.keys(value).sort().map(key => [key, shown(value[key])])]
  }
  return [typeof value, value]
}

function evaluated ({ expression, names }) {
  let rule
  try {
    // The line break ends a comment. Only without parentheses a semicolon may follow.
    try {
      rule = new Function('_', ...Object.keys(names), `return (${expression}\n);`)
    } catch (error) {
      if (!expression.includes(';')) throw error
      rule = new Function('_', ...Object.keys(names), `return ${expression}\n`)
    }
  } catch (error) {
    return ['refused', error.message]
  }
  try {
    return shown(rule(name => ({ asked: name }), ...Object.values(names)))
  } catch (error) {
    return ['throws', error.name]
  }
}

const lines = require('readline').createInterface({ input: process.stdin })
lines.on('line', line => process.stdout.write(JSON.stringify(evaluated(JSON.parse(line))) + '\n'))
