-- Brings dead letters back under their ids: looks at all of them, then writes those that are not there.
--
-- KEYS[1]  sorted set of dead-letter ids     KEYS[2]  hash of the worker's counters
-- KEYS[3…] per item three: body, who moved it, requeue count
--
-- ARGV[1]  seconds that requeues are counted
-- ARGV[2…] per item six: dead-letter id, score, milliseconds to live ("0": without end; empty: there is no
--          body, only the id), reason, requeues, body
--
-- Answers per item: "done", "exists" or "failed:WHY". Counters that are there count up; none is added.

local counted_for = ARGV[1]
local verdicts, added, reasons = {}, 0, {}
local count = (#ARGV - 1) / 6
local kind = redis.call('TYPE', KEYS[1]).ok

-- A right that is missing would end the script in the middle: every command is asked for before the first.
local function missing_right(commands)
  for _, command in ipairs(commands) do
    if redis.acl_check_cmd and not redis.acl_check_cmd(unpack(command)) then
      return redis.error_reply('NOPERM this user has no permissions to run the ' .. command[1] .. ' command')
    end
  end
end

local function look(keys, args)
  if kind ~= 'zset' and kind ~= 'none' then
    return 'failed:' .. KEYS[1] .. ' is a ' .. kind .. ', not a zset'
  end
  local there = redis.call('ZSCORE', KEYS[1], ARGV[args]) or redis.call('EXISTS', KEYS[keys]) == 1
  return there and 'exists' or 'done'
end

local denied = count > 0 and missing_right({
  { 'ZADD', KEYS[1], '1', '1' },
  { 'SET', KEYS[3], '1' },
  { 'DEL', KEYS[4] },
  { 'HGET', KEYS[2], '1' },
  { 'HINCRBY', KEYS[2], '1', '1' },
})
if denied then
  return denied
end

for number = 1, count do
  verdicts[number] = look(number * 3, number * 6 - 4)
end

for number = 1, count do
  if verdicts[number] == 'done' then
    local keys, args = number * 3, number * 6 - 4
    if redis.call('ZADD', KEYS[1], 'NX', ARGV[args + 1], ARGV[args]) == 0 then
      verdicts[number] = 'exists'
    else
      if ARGV[args + 2] == '0' then
        redis.call('SET', KEYS[keys], ARGV[args + 5])
      elseif ARGV[args + 2] ~= '' then
        redis.call('SET', KEYS[keys], ARGV[args + 5], 'PX', ARGV[args + 2])
      end
      redis.call('DEL', KEYS[keys + 1])
      local known = redis.pcall('GET', KEYS[keys + 2])
      if tonumber(ARGV[args + 4]) > (type(known) == 'string' and tonumber(known) or 0) then
        redis.call('SET', KEYS[keys + 2], ARGV[args + 4], 'EX', counted_for)
      end
      added = added + 1
      reasons[ARGV[args + 3]] = (reasons[ARGV[args + 3]] or 0) + 1
    end
  end
end

-- Lua takes more for a number than HINCRBY does, whose error would come after all that was written.
local function count_up(field, by)
  local now = string.match(redis.call('HGET', KEYS[2], field) or '', '^%d+$')
  if now and #now < 16 and (now == '0' or not string.match(now, '^0')) then
    redis.call('HINCRBY', KEYS[2], field, by)
  end
end

if added > 0 and redis.call('TYPE', KEYS[2]).ok == 'hash' then
  count_up('total_items', added)
  for reason, by in pairs(reasons) do
    count_up(reason, by)
  end
end

return verdicts
