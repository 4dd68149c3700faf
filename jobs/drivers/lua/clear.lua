-- Delete the jobs of queues that are in nobody's hands. ARGV: the queues (none: all). Returns how many there were.
local count = 0
local function clear(ids, queue)
  for _, id in ipairs(ids) do
    local values = redis.call('HMGET', job_key(id), 'job_class', 'priority', 'lease_id')
    if values[1] then
      let_go(id, queue, values[3])
      delete_job(id, queue, to_number(values[2]))
      count = count + 1
    end
  end
end

for _, queue in ipairs(#ARGV > 2 and {unpack(ARGV, 3)} or redis.call('SMEMBERS', ours .. 'queues')) do
  for _, priority in ipairs(priorities_of(queue)) do
    local list = list_of(line_of(queue, priority))
    local ids = redis.call('LRANGE', list, 0, -1)
    local foreign, ours = {}, {}
    for _, id in ipairs(ids) do
      local is_ours = redis.call('HEXISTS', job_key(id), 'job_class') == 1
      local kept = is_ours and ours or foreign
      kept[#kept + 1] = id
    end
    redis.call('DEL', list)
    for _, id in ipairs(foreign) do redis.call('RPUSH', list, id) end
    clear(ours, queue)
  end
  clear(redis.call('ZRANGE', scheduled_of(queue), 0, -1), queue)
  clear(redis.call('ZRANGEBYSCORE', leases_of(queue), '-inf', now), queue)
end
return count
