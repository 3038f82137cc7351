-- Keep a record, whatever version is there.
--
-- ARGV     the version; the data; how long to keep it
-- answer   1

local _, problem = current()
if problem then
    return problem
end
keep(ARGV[1], ARGV[2], ARGV[3])
return 1
