-- Delete jobs that are in nobody's hands. ARGV: the jobs. Returns how many there were.
local count = 0
for at = 3, #ARGV do
  local id = ARGV[at]
  local values = redis.call('HMGET', job_key(id), 'job_class', 'queue', 'priority', 'status', 'lease_id')
  if values[1] and values[4] ~= 'failed' then
    local queue, priority = values[2] or '', to_number(values[3])
    local ends = tonumber(redis.call('ZSCORE', leases_of(queue), id) or '0')
    if not (values[4] == 'started' and ends > present) then
      redis.call('LREM', list_of(line_of(queue, priority)), 0, id)
      let_go(id, queue, values[5])
      delete_job(id, queue, priority)
      count = count + 1
    end
  end
end
return count
