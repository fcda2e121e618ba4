-- Puts dead letters back onto their shows' queues: looks at all of them, then moves those that pass.
--
-- KEYS[1]  sorted set of dead-letter ids     KEYS[2]  hash of the worker's counters
-- KEYS[3]  set of active shows               KEYS[4]  hash from item id to show
-- KEYS[5…] per item six: body, who moved it, requeue count, the show's list, positions, timeouts
--
-- ARGV[1]  operation
-- ARGV[2]  seconds that it is known who moved an item
-- ARGV[3]  seconds that requeues are counted
-- ARGV[4]  the time that items expire, in Unix seconds
-- ARGV[5…] per item seven: dead-letter id, digest of the body as it was read (empty: any), item id, show, reason,
--          position score, the item's bytes (empty: there is nothing to push, only say what became of it)
--
-- Answers per item: "done", "gone", "already:OPERATION", "missing", "changed", "unreadable" or "failed:WHY".
-- The first write is one that Redis refuses when it is out of memory or a replica, so nothing is done by halves.
-- Writes of one sort are one command: each is copied to the append-only file and the replicas.

local KEYS_BEFORE, KEYS_PER_ITEM, ARGS_BEFORE, ARGS_PER_ITEM = 4, 6, 4, 7
local operation, known_for, counted_for, expires = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local kinds, seen = {}, {}

local function misfit(key, wanted)
  if not kinds[key] then
    kinds[key] = redis.call('TYPE', key).ok
  end
  if kinds[key] ~= 'none' and kinds[key] ~= wanted then
    return 'failed:' .. key .. ' is a ' .. kinds[key] .. ', not a ' .. wanted
  end
end

-- A right that is missing would end the script in the middle: every command is asked for before the first.
local function missing_right(commands)
  for _, command in ipairs(commands) do
    if redis.acl_check_cmd and not redis.acl_check_cmd(unpack(command)) then
      return redis.error_reply('NOPERM this user has no permissions to run the ' .. command[1] .. ' command')
    end
  end
end

local function look(keys, args)
  local id = ARGV[args]
  if seen[id] then
    return 'already:' .. operation
  end
  if not redis.call('ZSCORE', KEYS[1], id) then
    local mover = redis.pcall('GET', KEYS[keys + 1])
    return type(mover) == 'string' and 'already:' .. mover or 'gone'
  end
  local body = redis.pcall('GET', KEYS[keys])
  if not body then
    return 'missing'
  end
  if type(body) == 'table' then
    return 'unreadable'
  end
  if ARGV[args + 1] ~= '' and redis.sha1hex(body) ~= ARGV[args + 1] then
    return 'changed'
  end
  if ARGV[args + 6] == '' then
    return 'unreadable'
  end
  local wrong = misfit(KEYS[keys + 3], 'list') or misfit(KEYS[keys + 4], 'zset') or misfit(KEYS[keys + 5], 'zset')
  seen[id] = not wrong
  return wrong or 'done'
end

local function add(groups, key, ...)
  local group = groups[key]
  if not group then
    group = {}
    groups[key] = group
  end
  for at = 1, select('#', ...) do
    group[#group + 1] = (select(at, ...))
  end
end

local function write(command, groups)
  for key, arguments in pairs(groups) do
    redis.call(command, key, unpack(arguments))
  end
end

local wrong = misfit(KEYS[1], 'zset') or misfit(KEYS[3], 'set') or misfit(KEYS[4], 'hash')
local verdicts, left, reasons = {}, 0, {}
local ids, bodies, shows, map, positions, timeouts, lists = {}, {}, {}, {}, {}, {}, {}
local count = (#ARGV - ARGS_BEFORE) / ARGS_PER_ITEM

local denied = count > 0 and missing_right({
  { 'SET', KEYS[6], '1' },
  { 'HSET', KEYS[4], '1', '1' },
  { 'ZADD', KEYS[9], '1', '1' },
  { 'SADD', KEYS[3], '1' },
  { 'LPUSH', KEYS[8], '1' },
  { 'ZREM', KEYS[1], '1' },
  { 'DEL', KEYS[5] },
  { 'HGET', KEYS[2], '1' },
  { 'HINCRBY', KEYS[2], '1', '1' },
})
if denied then
  return denied
end

for number = 1, count do
  local keys = KEYS_BEFORE + (number - 1) * KEYS_PER_ITEM + 1
  local args = ARGS_BEFORE + (number - 1) * ARGS_PER_ITEM + 1
  verdicts[number] = wrong or look(keys, args)
end

for number = 1, count do
  if verdicts[number] == 'done' then
    local keys = KEYS_BEFORE + (number - 1) * KEYS_PER_ITEM + 1
    local args = ARGS_BEFORE + (number - 1) * ARGS_PER_ITEM + 1
    local item, show, reason = ARGV[args + 2], ARGV[args + 3], ARGV[args + 4]
    local before = redis.pcall('GET', KEYS[keys + 2])
    local requeues = (type(before) == 'string' and tonumber(before) or 0) + 1
    redis.call('SET', KEYS[keys + 1], operation, 'EX', known_for)
    redis.call('SET', KEYS[keys + 2], string.format('%d', requeues), 'EX', counted_for)
    ids[#ids + 1], bodies[#bodies + 1] = ARGV[args], KEYS[keys]
    add(map, KEYS[4], item, show)
    add(positions, KEYS[keys + 4], ARGV[args + 5], item)
    add(timeouts, KEYS[keys + 5], expires, item)
    add(lists, KEYS[keys + 3], ARGV[args + 6])
    if not shows[show] then
      shows[show] = true
      shows[#shows + 1] = show
    end
    left = left + 1
    reasons[reason] = (reasons[reason] or 0) + 1
  end
end

local function count_down(field, by)
  local now = tonumber(redis.call('HGET', KEYS[2], field) or '')
  if now and now > 0 then
    redis.call('HINCRBY', KEYS[2], field, -math.min(now, by))
  end
end

if left > 0 then
  write('HSET', map)
  write('ZADD', positions)
  write('ZADD', timeouts)
  redis.call('SADD', KEYS[3], unpack(shows))
  write('LPUSH', lists)
  redis.call('ZREM', KEYS[1], unpack(ids))
  redis.call('DEL', unpack(bodies))
  if not misfit(KEYS[2], 'hash') then
    count_down('total_items', left)
    for reason, by in pairs(reasons) do
      count_down(reason, by)
    end
  end
end

return verdicts
