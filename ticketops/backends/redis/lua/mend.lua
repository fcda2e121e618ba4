-- Sets one thing right, where it still is as it was found.
--
-- ARGV[1] says what:
-- "no-body"    KEYS items, body           ARGV id              removes an id whose body is not there
-- "no-id"      KEYS items, body           ARGV id, score       adds the id of a body
-- "counter"    KEYS stats                 ARGV field, found, right   sets a counter; found is empty where there is none
-- "stale"      KEYS active, list          ARGV show            removes a show whose list is not there
-- "lacking"    KEYS active, list          ARGV show            adds a show whose list is there
-- "leftover"   KEYS item map, positions, timeouts   ARGV item, show, position score as found or empty
--
-- Answers 1 where it did, else 0.

local what = ARGV[1]

if what == 'no-body' then
  return redis.call('EXISTS', KEYS[2]) == 0 and redis.call('ZREM', KEYS[1], ARGV[2]) or 0
elseif what == 'no-id' then
  return redis.call('EXISTS', KEYS[2]) == 1 and redis.call('ZADD', KEYS[1], 'NX', ARGV[3], ARGV[2]) or 0
elseif what == 'counter' then
  if (redis.call('HGET', KEYS[1], ARGV[2]) or '') ~= ARGV[3] then
    return 0
  end
  redis.call('HSET', KEYS[1], ARGV[2], ARGV[4])
  return 1
elseif what == 'stale' then
  return redis.call('EXISTS', KEYS[2]) == 0 and redis.call('SREM', KEYS[1], ARGV[2]) or 0
elseif what == 'lacking' then
  return redis.call('EXISTS', KEYS[2]) == 1 and redis.call('SADD', KEYS[1], ARGV[2]) or 0
elseif what == 'leftover' then
  if redis.call('HGET', KEYS[1], ARGV[2]) ~= ARGV[3] then
    return 0
  end
  local position = redis.call('ZSCORE', KEYS[2], ARGV[2])
  if position and (ARGV[4] == '' or tonumber(position) ~= tonumber(ARGV[4])) then
    return 0
  end
  redis.call('ZREM', KEYS[2], ARGV[2])
  redis.call('ZREM', KEYS[3], ARGV[2])
  return redis.call('HDEL', KEYS[1], ARGV[2])
end

return redis.error_reply('unknown work ' .. what)
