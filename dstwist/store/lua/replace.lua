-- Keep a record in place of the one that has the expected version.
--
-- KEYS     the tombstone only if no record is expected
-- ARGV     the expected version, '' for no record; the version; the data; how long to keep it
-- answer   1: it is kept
--          {}: there is no record; {version, data}: there is this record instead
--          {version}: there is no record, but one was removed at this version, and the new version is not higher

local found, problem = current()
if problem then
    return problem
end
if (found or '') ~= ARGV[1] then
    return found and {found, content()} or {}
end
if not found then
    local removed = redis.call('GET', OWN)
    -- Another program may have written that key. What is no number says nothing.
    if removed and string.match(removed, '^%d+$') and tonumber(removed) >= tonumber(ARGV[2]) then
        return {removed}
    end
end
keep(ARGV[2], ARGV[3], ARGV[4])
return 1
