-- Write the lease of a node, and read the document and all leases.
--
-- KEYS     the document; the leases
-- ARGV     the node; its lease
-- answer   {the document, or nil; {node, lease, ...}}

redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
return {redis.call('GET', KEYS[1]), redis.call('HGETALL', KEYS[2])}
