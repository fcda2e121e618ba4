-- Takes items out of the hands of a worker that died, or that does not know of them: they are due at once.
--
-- KEYS[1]  hash of what is held: receipt → attempts, first taken (ms), hand, show, item
-- KEYS[2]  sorted set: receipt, end of its lease     KEYS[3]  sorted set: receipt, due again (Unix ms)
-- KEYS[4]  hash: worker's name → its present process
-- ARGV[1]  what the hands' names begin with
-- ARGV[2]  "1": their attempts count, "0": none was made
-- ARGV[3]  worker's name that ARGV[4], its process, takes from now on; empty: none
--
-- Answers how many.

if ARGV[3] ~= '' then
  redis.call('HSET', KEYS[4], ARGV[3], ARGV[4])
end
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local count, prefix = 0, ARGV[1]

for _, receipt in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  local held = redis.call('HGET', KEYS[1], receipt)
  if held then
    local attempts, first, hand, show, item = cmsgpack.unpack(held)
    if string.sub(hand, 1, #prefix) == prefix then
      redis.call('ZREM', KEYS[2], receipt)
      if ARGV[2] == '0' then
        redis.call('HSET', KEYS[1], receipt, cmsgpack.pack(attempts - 1, first, '', show, item))
      end
      redis.call('ZADD', KEYS[3], now, receipt)
      count = count + 1
    end
  end
end

return count
