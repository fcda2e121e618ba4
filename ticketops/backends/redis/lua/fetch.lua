-- Reads dead letters: body, time to live, requeue count of each, as many as fit.
--
-- KEYS     the bodies of all, then the requeue counts of all
-- ARGV[1]  bytes of bodies after which no further item is read
--
-- Answers three lists: bodies (nothing where there is none, a list with the type of a key that holds no text),
-- milliseconds to live (-1 without end), counts (nothing where there is none).

local limit, all = tonumber(ARGV[1]), #KEYS / 2
local bodies, lives, bytes = {}, {}, 0

for at = 1, all do
  local body = redis.pcall('GET', KEYS[at])
  if type(body) == 'table' then
    body = { redis.call('TYPE', KEYS[at]).ok }
  end
  bodies[at], lives[at] = body, redis.call('PTTL', KEYS[at])
  bytes = bytes + (type(body) == 'string' and #body or 0)
  if bytes > limit then
    break
  end
end

local counts = #bodies > 0 and redis.call('MGET', unpack(KEYS, all + 1, all + #bodies)) or {}
return { bodies, lives, counts }
