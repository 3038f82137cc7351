-- The layout of a record in two keys. This stands in front of each script.
--
-- KEYS[1]  the version: a decimal number
-- KEYS[2]  the data: JSON text
-- KEYS[3]  a key of the server's own, if the script needs one: a tombstone or a token

local OWN = KEYS[3]

-- The version that a key holds, as a text; false if there is none. If the key holds anything else: nil and an error.
local function version_of(key)
    local found = redis.call('GET', key)
    if not found or found == '0' or (#found <= 16 and string.find(found, '^[1-9]%d*$')) then
        return found
    end
    return nil, redis.error_reply('NOVERSION the key ' .. key .. ' holds no version')
end

-- The version of the record, as of version_of. An error of a key of the wrong type ends the script here, before it has
-- written anything.
local function current()
    redis.call('STRLEN', KEYS[2])
    return version_of(KEYS[1])
end

-- The data of the record, for an answer.
local function content()
    return redis.call('GET', KEYS[2])
end

-- Keep the record for ttl milliseconds; '0': for ever. If Redis has no room, the first command fails.
local function keep(version, data, ttl)
    if ttl == '0' then
        redis.call('MSET', KEYS[1], version, KEYS[2], data)
    else
        redis.call('SET', KEYS[2], data, 'PX', ttl)
        redis.call('SET', KEYS[1], version, 'PX', ttl)
    end
end

local function erase()
    redis.call('DEL', KEYS[1], KEYS[2])
end

