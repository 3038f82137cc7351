-- Remove the record that has the expected version, and remember the version.
--
-- ARGV     the expected version, '' for no record; how long to remember it, in milliseconds, '0' for not at all
-- answer   1: there is no record now
--          {}: there was no record; {version, data}: there is this record instead

local found, problem = current()
if problem then
    return problem
end
if (found or '') ~= ARGV[1] then
    return found and {found, content()} or {}
end
if found then
    -- Redis without room refuses a SET, but not if a DEL of the script came first.
    erase()
    if ARGV[2] ~= '0' then
        redis.call('SET', OWN, found, 'PX', ARGV[2])
    end
end
return 1
