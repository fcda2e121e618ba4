-- Lets leases begin anew.
--
-- KEYS[1]  hash of what is held: receipt → attempts, first taken (ms), hand, show, item
-- KEYS[2]  sorted set: receipt, end of its lease (Unix ms)
-- ARGV[1]  milliseconds of a lease; ARGV[2…] per item three: receipt, hand, attempt
--
-- Answers how many are still held. A lease is taken out before it is put in again: a server without memory refuses
-- a script that begins with adding.

local clock = redis.call('TIME')
local ends = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000) + tonumber(ARGV[1])
local renewed = 0

for at = 2, #ARGV, 3 do
  local found = redis.call('HGET', KEYS[1], ARGV[at])
  if found then
    local attempts, _, hand = cmsgpack.unpack(found)
    if hand == ARGV[at + 1] and attempts == tonumber(ARGV[at + 2]) and redis.call('ZREM', KEYS[2], ARGV[at]) == 1 then
      redis.call('ZADD', KEYS[2], ends, ARGV[at])
      renewed = renewed + 1
    end
  end
end

return renewed
