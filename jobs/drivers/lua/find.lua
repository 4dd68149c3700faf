-- Return a job as list.lua does, or nothing where it neither waits nor runs. ARGV: the job.
local id = ARGV[3]
local values = read(id, 'queue', 'job_class', 'payload', 'priority', 'attempts', 'due', 'sequence', 'born', 'crashes',
  'worker_name', 'status')
local status = values[11]
if not values[2] or not (status == 'queued' or status == 'scheduled' or status == 'started') then return {} end
local state = to_moment(values[6]) > present and 'delayed' or 'waiting'
if status == 'started' then
  local leases = leases_of(values[1] or '')
  local ends = is_of(leases, 'zset') and tonumber(redis.call('ZSCORE', leases, id) or '0') or 0
  state = ends > present and ends < LAST and 'running' or 'waiting'
end
local job = {id}
values[9] = values[9] or '0'
for at = 1, 10 do job[#job + 1] = values[at] or '' end
job[#job + 1] = state
return job
