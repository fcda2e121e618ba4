-- Takes dead letters out for good: looks at all of them, then removes those that pass.
--
-- KEYS[1]  sorted set of dead-letter ids     KEYS[2]  hash of the worker's counters
-- KEYS[3…] per item two: body, who moved it
--
-- ARGV[1]  operation
-- ARGV[2]  seconds that it is known who moved an item
-- ARGV[3…] per item three: dead-letter id, digest of the body as it was seen ("missing" without one, "type:" and
--          the type of another key, empty: any), reason
--
-- Answers per item: "done", "gone", "already:OPERATION" or "changed". An id whose body expired since it was seen goes.
-- The first write makes room: Redis lets a script go on that has begun so, even where it is out of memory.

local operation, known_for = ARGV[1], ARGV[2]
local verdicts, ids, bodies, movers, reasons, seen = {}, {}, {}, {}, {}, {}
local count = (#ARGV - 2) / 3

-- A right that is missing would end the script in the middle: every command is asked for before the first.
local function missing_right(commands)
  for _, command in ipairs(commands) do
    if redis.acl_check_cmd and not redis.acl_check_cmd(unpack(command)) then
      return redis.error_reply('NOPERM this user has no permissions to run the ' .. command[1] .. ' command')
    end
  end
end

local function digest_of(key)
  local body = redis.pcall('GET', key)
  if type(body) == 'table' then
    return 'type:' .. redis.call('TYPE', key).ok
  end
  return body and redis.sha1hex(body) or 'missing'
end

local function look(keys, args)
  if seen[ARGV[args]] then
    return 'already:' .. operation
  end
  if not redis.call('ZSCORE', KEYS[1], ARGV[args]) then
    local mover = redis.pcall('GET', KEYS[keys + 1])
    return type(mover) == 'string' and 'already:' .. mover or 'gone'
  end
  local digest = ARGV[args + 1] ~= '' and digest_of(KEYS[keys]) or ''
  seen[ARGV[args]] = digest == ARGV[args + 1] or digest == 'missing'
  return seen[ARGV[args]] and 'done' or 'changed'
end

local denied = count > 0 and missing_right({
  { 'SET', KEYS[4], '1' },
  { 'ZREM', KEYS[1], '1' },
  { 'DEL', KEYS[3] },
  { 'HGET', KEYS[2], '1' },
  { 'HINCRBY', KEYS[2], '1', '1' },
})
if denied then
  return denied
end

for number = 1, count do
  verdicts[number] = look(1 + number * 2, number * 3)
end

for number = 1, count do
  if verdicts[number] == 'done' then
    local keys, args = 1 + number * 2, number * 3
    ids[#ids + 1], bodies[#bodies + 1], movers[#movers + 1] = ARGV[args], KEYS[keys], KEYS[keys + 1]
    reasons[ARGV[args + 2]] = (reasons[ARGV[args + 2]] or 0) + 1
  end
end

-- Lua takes more for a number than HINCRBY does, whose error would come after all that was written.
local function count_down(field, by)
  local now = string.match(redis.call('HGET', KEYS[2], field) or '', '^[1-9]%d*$')
  if now and #now < 16 then
    redis.call('HINCRBY', KEYS[2], field, -math.min(tonumber(now), by))
  end
end

if #ids > 0 then
  redis.call('ZREM', KEYS[1], unpack(ids))
  redis.call('DEL', unpack(bodies))
  for _, mover in ipairs(movers) do
    redis.call('SET', mover, operation, 'EX', known_for)
  end
  if redis.call('TYPE', KEYS[2]).ok == 'hash' then
    count_down('total_items', #ids)
    for reason, by in pairs(reasons) do
      count_down(reason, by)
    end
  end
end

return verdicts
