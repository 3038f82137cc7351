-- The layout of a record in one key. This stands in front of each script.
--
-- KEYS[1]  the record: {"_v":3,"_d":{...}}
-- KEYS[2]  a key of the server's own, if the script needs one: a tombstone or a token

local OWN = KEYS[2]

-- The version that a key holds, as a text; false if there is none. If the key holds anything else: nil and an error.
local function version_of(key)
    -- All known writers put the version first, so the rest need not be read.
    local head = redis.call('GETRANGE', key, 0, 31)
    if head == '' then
        return false
    end
    local found = string.match(head, '^{"_v":(%d+)[,}]')
    if not found then
        local read, record = pcall(cjson.decode, redis.call('GET', key))
        if read and type(record) == 'table' and type(record._v) == 'number' then
            found = string.format('%.0f', record._v)
        end
    end
    if found and (found == '0' or (#found <= 16 and string.find(found, '^[1-9]%d*$'))) then
        return found
    end
    return nil, redis.error_reply('NOVERSION the key ' .. key .. ' holds no record')
end

-- The version of the record, as of version_of. An error of a key of the wrong type ends the script here, before it has
-- written anything.
local function current()
    return version_of(KEYS[1])
end

-- The record, for an answer.
local function content()
    return redis.call('GET', KEYS[1])
end

-- Keep the record for ttl milliseconds; '0': for ever.
local function keep(_, data, ttl)
    if ttl == '0' then
        redis.call('SET', KEYS[1], data)
    else
        redis.call('SET', KEYS[1], data, 'PX', ttl)
    end
end

local function erase()
    redis.call('DEL', KEYS[1])
end

