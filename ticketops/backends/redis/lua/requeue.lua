-- Puts dead letters back onto their shows' queues: looks at all of them, then moves those that pass.
--
-- KEYS[1]  sorted set of dead-letter ids     KEYS[2]  hash of the worker's counters
-- KEYS[3]  set of active shows               KEYS[4]  hash from item id to show
-- KEYS[5…] per show three: its list, positions, timeouts; then per item three: body, who moved it, requeue count
--
-- ARGV[1]  operation
-- ARGV[2]  seconds that it is known who moved an item
-- ARGV[3]  seconds that requeues are counted
-- ARGV[4]  the time that items expire, in Unix seconds
-- ARGV[5]  how many shows follow, then the shows
-- ARGV[…]  per item seven: dead-letter id, the body as it was read, item id, number of the show from 1 (0: there is
--          nothing to push, -1: nor is it what was chosen; only say what became of it), reason, position score, the
--          item's bytes
--
-- Answers per item: "done", "gone", "already:OPERATION", "missing", "changed", "unreadable" or "failed:WHY".
-- The first write is one that Redis refuses when it is out of memory or a replica, so nothing is done by halves.
-- Writes of one sort are one command: each is copied to the append-only file and the replicas.

local operation, known_for, counted_for, expires, shows = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local KEYS_PER_ITEM, ARGS_PER_ITEM = 3, 7
local keys_before, args_before = 4 + 3 * shows, 5 + shows
local count = (#ARGV - args_before) / ARGS_PER_ITEM
local seen = {}

local function misfit(key, wanted)
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'none' and kind ~= wanted then
    return 'failed:' .. key .. ' is a ' .. kind .. ', not a ' .. wanted
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

local function misfits()
  local found = {}
  for show = 1, shows do
    local list = 2 + 3 * show
    found[show] = misfit(KEYS[list], 'list') or misfit(KEYS[list + 1], 'zset') or misfit(KEYS[list + 2], 'zset')
  end
  return found
end

local function scores()
  local ids = {}
  for number = 1, count do
    ids[number] = ARGV[args_before + (number - 1) * ARGS_PER_ITEM + 1]
  end
  return redis.call('ZMSCORE', KEYS[1], unpack(ids))
end

local function bodies()
  local keys = {}
  for number = 1, count do
    keys[number] = KEYS[keys_before + (number - 1) * KEYS_PER_ITEM + 1]
  end
  return redis.call('MGET', unpack(keys))
end

local function look(keys, args, score, body, unfit)
  local id = ARGV[args]
  if seen[id] then
    return 'already:' .. operation
  end
  if not score then
    local mover = redis.pcall('GET', KEYS[keys + 1])
    return type(mover) == 'string' and 'already:' .. mover or 'gone'
  end
  if not body then
    return redis.call('EXISTS', KEYS[keys]) == 0 and 'missing' or 'unreadable'
  end
  local show = tonumber(ARGV[args + 3])
  if show < 0 or body ~= ARGV[args + 1] then
    return 'changed'
  end
  if show == 0 then
    return 'unreadable'
  end
  local wrong = unfit[show]
  seen[id] = not wrong
  return wrong or 'done'
end

local wrong = misfit(KEYS[1], 'zset') or misfit(KEYS[3], 'set') or misfit(KEYS[4], 'hash')
local verdicts, moving, counters = {}, {}, {}

local first = KEYS[keys_before + 1]
local denied = count > 0 and missing_right({
  { 'SET', first, '1' },
  { 'HSET', KEYS[4], '1', '1' },
  { 'ZADD', KEYS[1], '1', '1' },
  { 'SADD', KEYS[3], '1' },
  { 'LPUSH', first, '1' },
  { 'ZREM', KEYS[1], '1' },
  { 'DEL', first },
  { 'HGET', KEYS[2], '1' },
  { 'HINCRBY', KEYS[2], '1', '1' },
})
for show = 1, shows do
  local list = 2 + 3 * show
  denied = denied or missing_right({ { 'LPUSH', KEYS[list], '1' }, { 'ZADD', KEYS[list + 1], '1', '1' } })
end
if denied then
  return denied
end

local some = not wrong and count > 0
local there, held, unfit = some and scores(), some and bodies(), misfits()
for number = 1, count do
  local keys = keys_before + (number - 1) * KEYS_PER_ITEM + 1
  local args = args_before + (number - 1) * ARGS_PER_ITEM + 1
  verdicts[number] = wrong or look(keys, args, there[number], held[number], unfit)
  if verdicts[number] == 'done' then
    moving[#moving + 1] = number
    counters[#counters + 1] = KEYS[keys + 2]
  end
end

-- Lua takes more for a number than HINCRBY does, whose error would come after all that was written.
local function count_down(field, by)
  local now = string.match(redis.call('HGET', KEYS[2], field) or '', '^[1-9]%d*$')
  if now and #now < 16 then
    redis.call('HINCRBY', KEYS[2], field, -math.min(tonumber(now), by))
  end
end

if #moving > 0 then
  local before = redis.call('MGET', unpack(counters))
  local ids, bodies, map, reasons, queues, names = {}, {}, {}, {}, {}, {}
  for at, number in ipairs(moving) do
    local keys = keys_before + (number - 1) * KEYS_PER_ITEM + 1
    local args = args_before + (number - 1) * ARGS_PER_ITEM + 1
    local item, show, reason = ARGV[args + 2], tonumber(ARGV[args + 3]), ARGV[args + 4]
    redis.call('SET', KEYS[keys + 1], operation, 'EX', known_for)
    redis.call('SET', KEYS[keys + 2], string.format('%d', (tonumber(before[at]) or 0) + 1), 'EX', counted_for)
    ids[at], bodies[at] = ARGV[args], KEYS[keys]
    map[2 * at - 1], map[2 * at] = item, ARGV[5 + show]
    reasons[reason] = (reasons[reason] or 0) + 1
    local queue = queues[show]
    if not queue then
      queue = { list = {}, positions = {}, timeouts = {} }
      queues[show], names[#names + 1] = queue, ARGV[5 + show]
    end
    local place = #queue.list + 1
    queue.list[place] = ARGV[args + 6]
    queue.positions[2 * place - 1], queue.positions[2 * place] = ARGV[args + 5], item
    queue.timeouts[2 * place - 1], queue.timeouts[2 * place] = expires, item
  end
  redis.call('HSET', KEYS[4], unpack(map))
  for show, queue in pairs(queues) do
    redis.call('ZADD', KEYS[3 + 3 * show], unpack(queue.positions))
    redis.call('ZADD', KEYS[4 + 3 * show], unpack(queue.timeouts))
  end
  redis.call('SADD', KEYS[3], unpack(names))
  for show, queue in pairs(queues) do
    redis.call('LPUSH', KEYS[2 + 3 * show], unpack(queue.list))
  end
  redis.call('ZREM', KEYS[1], unpack(ids))
  redis.call('DEL', unpack(bodies))
  if not misfit(KEYS[2], 'hash') then
    count_down('total_items', #moving)
    for reason, by in pairs(reasons) do
      count_down(reason, by)
    end
  end
end

return verdicts
