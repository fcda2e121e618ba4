-- Reads dead letters: state, body, time to live, requeue count of each, as many as fit.
--
-- KEYS     per item two: body, requeue count
-- ARGV[1]  bytes of bodies after which no further item is read; the first always is
--
-- Answers four values per item: "body", "missing" or "type:" and the type; the body; milliseconds to live
-- (-1 without end); the count.

local limit = tonumber(ARGV[1])
local found, bytes = {}, 0

for at = 1, #KEYS, 2 do
  local size = redis.pcall('STRLEN', KEYS[at])
  local state, body = 'missing', ''
  if type(size) == 'table' then
    state = 'type:' .. redis.call('TYPE', KEYS[at]).ok
  else
    bytes = bytes + size
    if at > 1 and bytes > limit then
      break
    end
    local value = redis.call('GET', KEYS[at])
    if value then
      state, body = 'body', value
    end
  end
  local count = redis.pcall('GET', KEYS[at + 1])
  found[#found + 1] = state
  found[#found + 1] = body
  found[#found + 1] = redis.call('PTTL', KEYS[at])
  found[#found + 1] = type(count) == 'string' and count or '0'
end

return found
