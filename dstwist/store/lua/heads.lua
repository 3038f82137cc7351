-- The versions of several records.
--
-- KEYS     the first key of each record
-- answer   the versions as texts; '-1' for no record

local versions = {}
for number, key in ipairs(KEYS) do
    local found, problem = version_of(key)
    if problem then
        return problem
    end
    versions[number] = found or '-1'
end
return versions
