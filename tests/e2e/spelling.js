'use strict'

// Values as text in JavaScript's own spelling, and back.

exports.spell = (value) => {
  if (value === undefined) return 'undefined'
  if (typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0))) return Object.is(value, -0) ? '-0' : String(value)
  return JSON.stringify(value)
}

exports.unspell = (text) => (['undefined', '-0', 'NaN'].includes(text) ? { undefined, '-0': -0, NaN }[text] : JSON.parse(text))

// The same text for the same value, whatever the order of its keys.
exports.canonical = (value) => exports.spell(sorted(value))

const sorted = (value) => {
  if (Array.isArray(value)) return value.map(sorted)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.keys(value).filter((key) => value[key] !== undefined).sort().map((key) => [key, sorted(value[key])]))
}
