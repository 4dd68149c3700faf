-- Return jobs, at most ARGV[4] of each place, of one state or any (ARGV[3] = ''), of the queues given or of all:
-- job, queue, class, record, priority, tries, due time, number, birth, crashes, worker, state.
-- What no job can be made of, and keys of another type, are left out: the next claim sets them apart.
local wanted, limit = ARGV[3], tonumber(ARGV[4])
local jobs = {}
local function add(ids, state)
  if wanted ~= '' and wanted ~= state then return end
  for _, id in ipairs(ids) do
    local values = read(id, 'queue', 'job_class', 'payload', 'priority', 'attempts', 'due', 'sequence', 'born',
      'crashes', 'worker_name')
    if values[2] then
      jobs[#jobs + 1] = id
      values[9] = values[9] or '0'
      for at = 1, 10 do jobs[#jobs + 1] = values[at] or '' end
      jobs[#jobs + 1] = state
    end
  end
end

local function add_between(key, first, last, state)
  if is_of(key, 'zset') then add(redis.call('ZRANGEBYSCORE', key, first, last, 'LIMIT', 0, limit), state) end
end

local function add_lapsed(leases, first, last)
  local lapsed = {}
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', leases, first, last, 'LIMIT', 0, limit)) do
    if read(id, 'status')[1] == 'started' then lapsed[#lapsed + 1] = id end
  end
  add(lapsed, 'waiting')
end

for _, queue in ipairs(#ARGV > 4 and {unpack(ARGV, 5)} or list_queues()) do
  for _, priority in ipairs(priorities_of(queue)) do
    local list = list_of(line_of(queue, priority))
    if is_of(list, 'list') then
      local due = count_before(list, present, math.huge)
      if due > 0 then add(redis.call('LRANGE', list, 0, math.min(due, limit) - 1), 'waiting') end
      add(redis.call('LRANGE', list, due, due + limit - 1), 'delayed')
    end
  end
  local scheduled, leases = scheduled_of(queue), leases_of(queue)
  add_between(scheduled, '-inf', now, 'waiting')
  add_between(scheduled, LAST, '+inf', 'waiting')
  add_between(scheduled, '(' .. now, '(' .. LAST, 'delayed')
  if is_of(leases, 'zset') then
    add_lapsed(leases, '-inf', now)
    add_lapsed(leases, LAST, '+inf')
    add_between(leases, '(' .. now, '(' .. LAST, 'running')
  end
end
return jobs
