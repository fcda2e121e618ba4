-- Takes items into a hand: what waits for another attempt and is due, what leases that ended left, and the next of
-- the shows' queues, with what the booking worker notes of them there.
--
-- KEYS[1]  hash of what is held: receipt → attempts, first taken (ms), hand, show, item
-- KEYS[2]  sorted set: receipt, end of its lease (Unix ms)      KEYS[3]  sorted set: receipt, due again (Unix ms)
-- KEYS[4]  hash: worker's name → its present process            KEYS[5]  counter of receipts
-- KEYS[6]  set of active shows                                  KEYS[7]  hash from item id to show
-- KEYS[8…] per show three: list, positions, timeouts
--
-- ARGV[1]  worker's name (empty: none)   ARGV[2]  its process     ARGV[3]  hand
-- ARGV[4]  most items                    ARGV[5]  milliseconds of a lease
-- ARGV[6]  "waiting" or "shows" first    ARGV[7]  "fair", or "oldest" first
-- ARGV[8]  "due", or "everything": also what is not due yet, or paused
-- ARGV[9]  how many paused shows follow; ARGV[10…] those, then the shows of KEYS in their order
--
-- Answers the time (ms), places of the shows that items came from, places of shows that are empty now, then five
-- values per item: receipt, attempt, first taken (ms), show, item. "fenced" where another process has the name.
--
-- Everything happens in memory that is there already: the first write takes something out, so that a server without
-- memory does not refuse what follows.

local FIXED, PER_SHOW = 7, 3
local name, process, hand = ARGV[1], ARGV[2], ARGV[3]
local limit, lease = tonumber(ARGV[4]), tonumber(ARGV[5])
local oldest, everything = ARGV[7] == 'oldest', ARGV[8] == 'everything'
local paused, first_show = {}, 10 + tonumber(ARGV[9])
for at = 10, first_show - 1 do
  paused[ARGV[at]] = true
end

local kinds = { 'hash', 'zset', 'zset', 'hash', 'string', 'set', 'hash' }
for number, wanted in ipairs(kinds) do
  local kind = redis.call('TYPE', KEYS[number]).ok
  if kind ~= 'none' and kind ~= wanted then
    return redis.error_reply('WRONGTYPE ' .. KEYS[number] .. ' is a ' .. kind .. ', not a ' .. wanted)
  end
end
if name ~= '' and redis.call('HGET', KEYS[4], name) ~= process then
  return 'fenced'
end

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local taken, served, empty = {}, {}, {}

local function hold(receipt, attempts, first, show, item)
  redis.call('HSET', KEYS[1], receipt, cmsgpack.pack(attempts, first, hand, show, item))
  redis.call('ZADD', KEYS[2], now + lease, receipt)
  taken[#taken + 1] = { receipt, attempts, first, show, item }
end

local function from_set(set, most)
  local high = (everything and set == KEYS[3]) and '+inf' or now
  for _, receipt in ipairs(redis.call('ZRANGEBYSCORE', set, '-inf', high, 'LIMIT', 0, most)) do
    local held = redis.call('HGET', KEYS[1], receipt)
    redis.call('ZREM', set, receipt)
    if held then
      local attempts, first, _, show, item = cmsgpack.unpack(held)
      if paused[show] and not everything then
        redis.call('ZADD', set, now + 1000, receipt)
      else
        hold(receipt, attempts + 1, first, show, item)
      end
    end
  end
end

local function from_waiting(most)
  local before = #taken
  from_set(KEYS[2], most)
  if #taken - before < most then
    from_set(KEYS[3], most - (#taken - before))
  end
end

local function id_of(item)
  local id = string.match(item, '^{"ID":"([^"\\]+)"')
  if id or #item > 65536 then
    return id
  end
  local read, value = pcall(cjson.decode, item)
  if read and type(value) == 'table' then
    for field, found in pairs(value) do
      if type(field) == 'string' and string.lower(field) == 'id' and type(found) == 'string' then
        return found
      end
    end
  end
end

local function from_show(place)
  local key = FIXED + (place - 1) * PER_SHOW + 1
  local show = ARGV[first_show + place - 1]
  local item = redis.pcall('RPOP', KEYS[key])
  if type(item) ~= 'string' then
    if item == false then
      redis.call('SREM', KEYS[6], show)
    end
    empty[#empty + 1] = place
    return false
  end
  hold(redis.call('INCR', KEYS[5]), 1, now, show, item)
  local id = id_of(item)
  if id then
    redis.pcall('ZREM', KEYS[key + 1], id)
    redis.pcall('ZREM', KEYS[key + 2], id)
    redis.call('HDEL', KEYS[7], id)
  end
  if redis.call('EXISTS', KEYS[key]) == 0 then
    redis.call('SREM', KEYS[6], show)
  end
  served[#served + 1] = place
  return true
end

local function entered(place)
  local key = FIXED + (place - 1) * PER_SHOW + 1
  local item = redis.pcall('LINDEX', KEYS[key], -1)
  if type(item) ~= 'string' then
    return false
  end
  local id = id_of(item)
  local score = id and redis.pcall('ZSCORE', KEYS[key + 1], id)
  return type(score) == 'string' and tonumber(score) or 0
end

local function by_age(places)
  local ages = {}
  for _, place in ipairs(places) do
    ages[place] = entered(place)
  end
  while #taken < limit do
    local best
    for _, place in ipairs(places) do
      if ages[place] and (not best or ages[place] < ages[best]) then
        best = place
      end
    end
    if not best then
      break
    end
    ages[best] = from_show(best) and entered(best)
  end
  for _, place in ipairs(places) do
    if ages[place] == false then
      from_show(place)
    end
  end
end

local function in_turn(places)
  while #taken < limit and #places > 0 do
    local left = {}
    for _, place in ipairs(places) do
      if #taken >= limit then
        break
      end
      if from_show(place) then
        left[#left + 1] = place
      end
    end
    places = left
  end
end

local function from_shows()
  local places = {}
  for place = 1, (#KEYS - FIXED) / PER_SHOW do
    places[place] = place
  end
  if oldest then
    by_age(places)
  else
    in_turn(places)
  end
end

if ARGV[6] == 'waiting' then
  from_waiting(math.ceil(limit / 2))
end
from_shows()
if #taken < limit then
  from_waiting(limit - #taken)
end

local answer = { now, served, empty }
for _, item in ipairs(taken) do
  for _, value in ipairs(item) do
    answer[#answer + 1] = value
  end
end
return answer
