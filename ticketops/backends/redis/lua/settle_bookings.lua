-- Concludes items in hand: looks at all of them, then changes those whose leases are still the hand's.
--
-- KEYS[1]  hash of what is held: receipt → attempts, first taken (ms), hand, show, item
-- KEYS[2]  sorted set: receipt, end of its lease     KEYS[3]  sorted set: receipt, due again (Unix ms)
-- KEYS[4]  set of active shows                       KEYS[5]  hash from item id to show
-- KEYS[6]  sorted set of dead-letter ids             KEYS[7]  hash of the worker's counters
-- KEYS[8…] per item three: "bury": body, and two that are not looked at; "back": the show's list, positions, timeouts;
--          else three that are not looked at
--
-- ARGV[1]  seconds that a dead letter lives
-- ARGV[2…] per item eight: what ("done", "later", "bury" or "back"), receipt, hand, attempt, and
--          later: milliseconds, "1" where the attempt counts
--          bury:  dead-letter id, failure time (Unix seconds), reason, body
--          back:  item id, position score, timeout score (empty: none)
--
-- Answers per item 1, or 0 where it is somebody else's or concluded. Taking the lease away is the first write: it is
-- one that Redis takes when it is out of memory, and then it takes the others too, so nothing is done by halves.

local FIXED, PER_KEYS, PER_ARGS = 7, 3, 8
local count = (#ARGV - 1) / PER_ARGS
local verdicts, held = {}, {}

local function misfit(key, wanted)
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'none' and kind ~= wanted then
    return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. kind .. ', not a ' .. wanted)
  end
end

for number = 1, count do
  local key, arg = FIXED + (number - 1) * PER_KEYS + 1, 2 + (number - 1) * PER_ARGS
  local wrong
  if ARGV[arg] == 'bury' then
    wrong = misfit(KEYS[6], 'zset') or misfit(KEYS[7], 'hash')
  elseif ARGV[arg] == 'back' then
    wrong = misfit(KEYS[4], 'set')
      or misfit(KEYS[5], 'hash')
      or misfit(KEYS[key], 'list')
      or misfit(KEYS[key + 1], 'zset')
      or misfit(KEYS[key + 2], 'zset')
  end
  if wrong then
    return wrong
  end
end

for number = 1, count do
  local key, arg = FIXED + (number - 1) * PER_KEYS + 1, 2 + (number - 1) * PER_ARGS
  local what, receipt = ARGV[arg], ARGV[arg + 1]
  local attempts, first, hand, show, item
  local found = redis.call('HGET', KEYS[1], receipt)
  if found then
    attempts, first, hand, show, item = cmsgpack.unpack(found)
  end
  verdicts[number] = 0
  if
    found
    and hand == ARGV[arg + 2]
    and attempts == tonumber(ARGV[arg + 3])
    and redis.call('ZREM', KEYS[2], receipt) == 1
  then
    verdicts[number] = 1
    if what == 'later' then
      if ARGV[arg + 5] ~= '1' then
        redis.call('HSET', KEYS[1], receipt, cmsgpack.pack(attempts - 1, first, '', show, item))
      end
      local clock = redis.call('TIME')
      local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
      redis.call('ZADD', KEYS[3], now + tonumber(ARGV[arg + 4]), receipt)
    else
      redis.call('HDEL', KEYS[1], receipt)
    end
    if what == 'bury' then
      local id, reason = ARGV[arg + 4], ARGV[arg + 6]
      redis.call('SET', KEYS[key], ARGV[arg + 7], 'EX', ARGV[1])
      redis.call('ZADD', KEYS[6], ARGV[arg + 5], id)
      redis.call('HINCRBY', KEYS[7], 'total_items', 1)
      redis.call('HINCRBY', KEYS[7], 'processed_today', 1)
      redis.call('HINCRBY', KEYS[7], reason, 1)
    elseif what == 'back' then
      local id = ARGV[arg + 4]
      redis.call('RPUSH', KEYS[key], item)
      redis.call('ZADD', KEYS[key + 1], ARGV[arg + 5], id)
      if ARGV[arg + 6] ~= '' then
        redis.call('ZADD', KEYS[key + 2], ARGV[arg + 6], id)
      end
      redis.call('HSET', KEYS[5], id, show)
      redis.call('SADD', KEYS[4], show)
    end
  end
end

return verdicts
