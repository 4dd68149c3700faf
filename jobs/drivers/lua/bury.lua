-- Move a job to RQ's registry of failed jobs, and store what follows it.
-- ARGV: job, lease, who asks, '1' to do it or '0' to ask only whether the lease holds, the worker, the traceback as RQ
-- keeps it, the jobs that follow. Returns 0 where the lease was lost, and 2 where who asks has done it already.
local WEEK = 7 * 24 * 3600
if has_ended('bury', ARGV[3], ARGV[4], ARGV[5]) == 1 then return 2 end
if ARGV[6] == '0' then
  return redis.call('HGET', job_key(ARGV[3]), 'lease_id') == ARGV[4] and 1 or 0
end
local held = get_held(ARGV[3], ARGV[4])
if not held then return 0 end
note_end('bury', held.id, ARGV[4], ARGV[5])
let_go(held.id, held.queue, ARGV[4])
local key = job_key(held.id)
local life = math.floor(to_number(redis.call('HGET', key, 'failure_ttl')))
if life < 1 or life > LONGEST_LIFE then life = WEEK end
-- Whoever puts it back with RQ's own means begins with the first try.
redis.call('HSET', key, 'status', 'failed', 'origin', held.queue, 'ended_at', utc(now), 'lease_id', '',
  'attempts', '0', 'crashes', '0', 'worker_name', '')
redis.call('ZADD', failed_of(held.queue), stamp(present + life), held.id)
redis.call('EXPIRE', key, life)
local results = rq .. ':results:' .. held.id
redis.call('XADD', results, 'MAXLEN', 10, '*', 'type', 2, 'worker_name', ARGV[7], 'exc_string', ARGV[8],
  'execution_id', ARGV[4])
redis.call('EXPIRE', results, life)
redis.call('SADD', rq .. ':queues', list_of(held.queue))
push_all(9)
return 1
