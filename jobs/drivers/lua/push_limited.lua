-- Store jobs as `push` does. ARGV: how many limits, each a queue and how many jobs it may hold, then sender, number of the
-- last job, the jobs. Returns nothing, or the queue that would hold too much and how many it holds.
local function count_jobs(queue)
  local count = redis.call('ZCARD', scheduled_of(queue)) + redis.call('ZCOUNT', leases_of(queue), '(' .. now, '+inf')
  for _, priority in ipairs(priorities_of(queue)) do
    count = count + redis.call('LLEN', list_of(line_of(queue, priority)))
  end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', leases_of(queue), '-inf', now)) do
    if redis.call('HGET', job_key(id), 'status') == 'started' then count = count + 1 end
  end
  return count
end

local limits = tonumber(ARGV[3])
local first = 6 + 2 * limits
local sender, number_of_last = ARGV[first - 2], ARGV[first - 1]
if was_sent(sender, number_of_last) then return {} end
for number = 1, limits do
  local queue, limit, new = ARGV[2 + 2 * number], tonumber(ARGV[3 + 2 * number]), 0
  for at = first, #ARGV, FIELDS do
    if ARGV[at + 1] == queue then new = new + 1 end
  end
  local count = count_jobs(queue)
  if count + new > limit then return {queue, count} end
end
push_all(first)
note_sent(sender, number_of_last)
return {}
