-- For a cache: take a record out, and leave a token in its place, which ends all earlier tokens.
--
-- ARGV     the token; how long it is valid, in milliseconds
-- answer   1

local _, problem = current()
if problem then
    return problem
end
erase()
redis.call('SET', OWN, ARGV[1], 'PX', ARGV[2])
return 1
