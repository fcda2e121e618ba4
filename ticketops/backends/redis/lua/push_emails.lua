-- Adds email jobs to the list that the email workers take them from, each at most once.
--
-- KEYS[1]    the list
-- KEYS[2…]   a mark for each job, which says that it was added; in the list's slot of a cluster
-- ARGV[1]    seconds that a mark lives
-- ARGV[2…]   the jobs' entries, in the order of their marks
--
-- Answers how many were added.

local added = 0
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'list' and kind ~= 'none' then
  return redis.error_reply('WRONGTYPE the list of email jobs is a ' .. kind)
end

for at = 2, #KEYS do
  if redis.call('SET', KEYS[at], '1', 'NX', 'EX', ARGV[1]) then
    redis.call('LPUSH', KEYS[1], ARGV[at])
    added = added + 1
  end
end

return added
