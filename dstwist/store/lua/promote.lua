-- For a cache: keep a record that a reader has from the storage, if the token of the reader is still there.
--
-- ARGV     the token; the version; the data; how long to keep it
-- answer   1: it is kept; 0: a writer has taken the record meanwhile, or the token has expired

local _, problem = current()
if problem then
    return problem
end
if redis.call('GET', OWN) ~= ARGV[1] then
    return 0
end
keep(ARGV[2], ARGV[3], ARGV[4])
redis.call('DEL', OWN)
return 1
