-- For a cache: make sure that there is no record, and end all tokens.
--
-- answer   1

local _, problem = current()
if problem then
    return problem
end
erase()
redis.call('DEL', OWN)
return 1
