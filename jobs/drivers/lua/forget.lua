-- Delete what RQ's tools show of failed jobs. ARGV: the jobs.
for at = 3, #ARGV do
  local id = ARGV[at]
  local values = redis.call('HMGET', job_key(id), 'job_class', 'queue', 'priority', 'status')
  if values[1] and values[4] == 'failed' then delete_job(id, values[2] or '', to_number(values[3])) end
end
return 1
