-- For a cache: the record; if there is none, a token for the reader, unless another reader or a writer has one.
--
-- ARGV     the token; how long it is valid, in milliseconds
-- answer   {version, data}: the record; 1: there is none, and the token is valid; 0: there is none, and it is not

local found, problem = current()
if problem then
    return problem
end
-- A Redis that forgets keys may have forgotten one of two.
local data = found and content()
if data then
    return {found, data}
end
return redis.call('SET', OWN, ARGV[1], 'NX', 'PX', ARGV[2]) and 1 or 0
