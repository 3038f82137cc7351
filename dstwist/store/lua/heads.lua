-- The versions of several records.
--
-- KEYS     the first key of each record
-- answer   the versions as texts; '-1' for no record, '' for a key that holds anything else

local versions = {}
for number, key in ipairs(KEYS) do
    local read, found = pcall(version_of, key)
    if not read or found == nil then
        versions[number] = ''
    else
        versions[number] = found or '-1'
    end
end
return versions
