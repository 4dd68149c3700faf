-- Return of each queue its name, how many jobs wait, are delayed and run, since when the oldest is due, or '', and how
-- many of those that wait have no due time, or end of a lease, that can be read. Keys of another type count as empty:
-- the next claim sets them apart.
local figures = {}

local function is_moment(seconds) return seconds and seconds >= 0 and seconds < LAST end

for _, queue in ipairs(list_queues()) do
  local scheduled, leases = scheduled_of(queue), leases_of(queue)
  local waiting, delayed, running, unreadable, oldest = 0, 0, 0, 0, math.huge
  local function note(seconds)
    if is_moment(seconds) then oldest = math.min(oldest, seconds) else unreadable = unreadable + 1 end
  end

  if is_of(scheduled, 'zset') then
    waiting = redis.call('ZCOUNT', scheduled, '-inf', now)
    delayed = redis.call('ZCOUNT', scheduled, '(' .. now, '(' .. LAST)
    unreadable = redis.call('ZCOUNT', scheduled, LAST, '+inf')
    waiting, unreadable = waiting + unreadable, unreadable + redis.call('ZCOUNT', scheduled, '-inf', '(0')
    local first = redis.call('ZRANGEBYSCORE', scheduled, 0, now, 'WITHSCORES', 'LIMIT', 0, 1)
    if first[2] then oldest = tonumber(first[2]) end
  end
  if is_of(leases, 'zset') then
    running = redis.call('ZCOUNT', leases, '(' .. now, '(' .. LAST)
    for _, range in ipairs({{'-inf', now}, {LAST, '+inf'}}) do
      for _, id in ipairs(redis.call('ZRANGEBYSCORE', leases, range[1], range[2])) do
        if read(id, 'status')[1] == 'started' then
          waiting = waiting + 1
          note(tonumber(redis.call('ZSCORE', leases, id)))
        end
      end
    end
  end
  for _, priority in ipairs(priorities_of(queue)) do
    local list = list_of(line_of(queue, priority))
    local size = is_of(list, 'list') and redis.call('LLEN', list) or 0
    if size > 0 then
      local due = count_before(list, present, math.huge)
      waiting, delayed = waiting + due, delayed + size - due
      -- What has no due time stands before all that have one.
      local place = math.min(count_before(list, 0, math.huge), due)
      for at = 0, math.min(place, CHUNK) - 1 do
        if read(redis.call('LINDEX', list, at), 'job_class')[1] then unreadable = unreadable + 1 end
      end
      if place < due then note((order_of(redis.call('LINDEX', list, place)))) end
    end
  end
  if waiting + delayed + running > 0 then
    for _, value in ipairs({queue, waiting, delayed, running, oldest < math.huge and stamp(oldest) or '', unreadable}) do
      figures[#figures + 1] = value
    end
  end
end
return figures
