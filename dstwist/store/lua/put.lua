-- For a cache: keep a record if the token of its writer is still there; otherwise make sure that there is none.
--
-- ARGV     the token; the version; the data; how long to keep it
-- answer   1: it is kept; 0: another writer has taken the record meanwhile, or the token has expired

local _, problem = current()
if problem then
    return problem
end
if redis.call('GET', OWN) == ARGV[1] then
    keep(ARGV[2], ARGV[3], ARGV[4])
    redis.call('DEL', OWN)
    return 1
end
erase()
redis.call('DEL', OWN)
return 0
