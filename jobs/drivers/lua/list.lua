-- Return jobs, at most ARGV[4] of each place, of one state or any (ARGV[3] = ''), of the queues given or of all:
-- job, queue, class, record, priority, tries, state, due time, birth, worker, number.
local wanted, limit = ARGV[3], tonumber(ARGV[4])
local jobs = {}
local function add(ids, state)
  if wanted ~= '' and wanted ~= state then return end
  for _, id in ipairs(ids) do
    local values = redis.call('HMGET', job_key(id), 'queue', 'job_class', 'payload', 'priority', 'attempts', 'due', 'born',
      'worker_name', 'sequence')
    if values[2] then
      for _, value in ipairs({id, values[1], values[2], values[3], values[4], values[5], state, values[6], values[7],
        values[8] or '', values[9]}) do
        jobs[#jobs + 1] = value
      end
    end
  end
end

for _, queue in ipairs(#ARGV > 4 and {unpack(ARGV, 5)} or redis.call('SMEMBERS', ours .. 'queues')) do
  for _, priority in ipairs(priorities_of(queue)) do
    local list = list_of(line_of(queue, priority))
    local due = count_before(list, present, math.huge)
    if due > 0 then add(redis.call('LRANGE', list, 0, math.min(due, limit) - 1), 'waiting') end
    add(redis.call('LRANGE', list, due, due + limit - 1), 'delayed')
  end
  local scheduled, leases = scheduled_of(queue), leases_of(queue)
  add(redis.call('ZRANGEBYSCORE', scheduled, '-inf', now, 'LIMIT', 0, limit), 'waiting')
  add(redis.call('ZRANGEBYSCORE', scheduled, '(' .. now, '+inf', 'LIMIT', 0, limit), 'delayed')
  local lapsed = {}
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, limit)) do
    if redis.call('HGET', job_key(id), 'status') == 'started' then lapsed[#lapsed + 1] = id end
  end
  add(lapsed, 'waiting')
  add(redis.call('ZRANGEBYSCORE', leases, '(' .. now, '+inf', 'LIMIT', 0, limit), 'running')
end
return jobs
