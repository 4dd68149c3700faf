-- Return of each queue its name and how many jobs wait, are delayed and run, and since when the oldest is due, or ''.
local figures = {}
for _, queue in ipairs(redis.call('SMEMBERS', ours .. 'queues')) do
  local scheduled, leases = scheduled_of(queue), leases_of(queue)
  local waiting = redis.call('ZCOUNT', scheduled, '-inf', now)
  local delayed = redis.call('ZCOUNT', scheduled, '(' .. now, '+inf')
  local running = redis.call('ZCOUNT', leases, '(' .. now, '+inf')
  local oldest = math.huge
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now)) do
    local status = redis.call('HGET', job_key(id), 'status')
    if status == 'started' then
      waiting = waiting + 1
      oldest = math.min(oldest, tonumber(redis.call('ZSCORE', leases, id)))
    end
  end
  for _, priority in ipairs(priorities_of(queue)) do
    local list = list_of(line_of(queue, priority))
    local size = redis.call('LLEN', list)
    if size > 0 then
      local due = count_before(list, present, math.huge)
      waiting, delayed = waiting + due, delayed + size - due
      if due > 0 then
        local first = order_of(redis.call('LINDEX', list, 0))
        if first > 0 then oldest = math.min(oldest, first) end
      end
    end
  end
  local first = redis.call('ZRANGEBYSCORE', scheduled, '-inf', now, 'WITHSCORES', 'LIMIT', 0, 1)
  if first[2] then oldest = math.min(oldest, tonumber(first[2])) end
  if waiting + delayed + running > 0 then
    for _, value in ipairs({queue, waiting, delayed, running, oldest < math.huge and stamp(oldest) or ''}) do
      figures[#figures + 1] = value
    end
  end
end
return figures
