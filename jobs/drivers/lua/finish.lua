-- Remove a job that is done, and store what follows it. ARGV: job, lease, who asks, the jobs that follow.
local held = get_held(ARGV[3], ARGV[4])
if not held then return has_ended('finish', ARGV[3], ARGV[4], ARGV[5]) end
let_go(held.id, held.queue, ARGV[4])
if held.is_stock then
  -- The worker of RQ still reads the hash, and deletes it; what made it a job of ours is gone.
  redis.call('HDEL', job_key(held.id), 'job_class', 'payload', 'lease_id', 'stock')
  redis.call('EXPIRE', job_key(held.id), 60)
else
  delete_job(held.id, held.queue, held.priority)
end
note_end('finish', held.id, ARGV[4], ARGV[5])
push_all(6)
return 1
