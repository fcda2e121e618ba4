-- Gives one dead letter another body where it is as it was read; its time to live stays.
--
-- KEYS[1]  body     ARGV[1]  digest of the body as it was read     ARGV[2]  the new body
--
-- Answers 1, or 0 where it is not.

local body = redis.pcall('GET', KEYS[1])
if type(body) ~= 'string' or redis.sha1hex(body) ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
return 1
