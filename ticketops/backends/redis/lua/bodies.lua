-- Reads the bodies of dead letters, as many as fit.
--
-- KEYS     bodies
-- ARGV[1]  bytes of bodies after which no further one is read
--
-- Answers per body: the body, nothing where there is none, or a list with the type of a key that holds no text.

local limit = tonumber(ARGV[1])
local found, bytes = {}, 0

for at = 1, #KEYS do
  local body = redis.pcall('GET', KEYS[at])
  if type(body) == 'table' then
    body = { redis.call('TYPE', KEYS[at]).ok }
  end
  found[at] = body
  bytes = bytes + (type(body) == 'string' and #body or 0)
  if bytes > limit then
    break
  end
end

return found
