-- Put a document in place of the expected one, and remove leases with that.
--
-- KEYS     the document; the leases
-- ARGV     the document; then what is expected, as 1 and the document, or 0 and '' for none
--          then for each lease to remove: the node, and 1 and the lease that it must have, or 0 and '' for none
-- answer   1: it is replaced; 0: the document or a lease is another one, and nothing is changed

local function is(found, number)
    if ARGV[number] == '0' then
        return not found
    end
    return found == ARGV[number + 1]
end

if not is(redis.call('GET', KEYS[1]), 2) then
    return 0
end
for number = 4, #ARGV, 3 do
    if not is(redis.call('HGET', KEYS[2], ARGV[number]), number + 1) then
        return 0
    end
end
redis.call('SET', KEYS[1], ARGV[1])
for number = 4, #ARGV, 3 do
    redis.call('HDEL', KEYS[2], ARGV[number])
end
return 1
