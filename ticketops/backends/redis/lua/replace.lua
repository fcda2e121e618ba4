-- Gives one dead letter another body; id, score and time to live stay.
--
-- KEYS[1]  sorted set of dead-letter ids     KEYS[2]  body     KEYS[3]  who moved it
-- ARGV[1]  dead-letter id     ARGV[2]  digest of the body as it was read     ARGV[3]  the new body
--
-- Answers "done", "gone", "already:OPERATION", "missing", "unreadable" or "changed".

if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  local mover = redis.pcall('GET', KEYS[3])
  return type(mover) == 'string' and 'already:' .. mover or 'gone'
end
local body = redis.pcall('GET', KEYS[2])
if not body then
  return 'missing'
end
if type(body) == 'table' or ARGV[3] == '' then
  return 'unreadable'
end
if redis.sha1hex(body) ~= ARGV[2] then
  return 'changed'
end
redis.call('SET', KEYS[2], ARGV[3], 'KEEPTTL')
return 'done'
