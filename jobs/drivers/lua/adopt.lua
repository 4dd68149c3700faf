-- Hold a job that a worker of RQ has taken from its list. ARGV: job, lease, worker, seconds that it holds.
-- Returns nothing where there is no such job, 'held' where somebody else holds it, or the job as a claim does.
local id, lease, worker, seconds = ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local key = job_key(id)
local values = redis.call('HMGET', key, 'job_class', 'queue', 'lease_id')
if not values[1] then return {} end
local queue = values[2]
if values[3] ~= '' and tonumber(redis.call('ZSCORE', leases_of(queue), id) or '0') > present then return {'held'} end
local attempts, crashes = start_try(id)
redis.call('ZREM', scheduled_of(queue), id)
redis.call('ZREM', returned_of(queue), id)
local found = redis.call('HMGET', key, 'payload', 'priority', 'due', 'sequence', 'born')
local ends = stamp(present + seconds)
redis.call('HSET', key, 'lease_id', lease, 'worker_name', worker, 'stock', '1', 'status', 'started')
redis.call('ZADD', leases_of(queue), ends, id)
return {id, queue, values[1], found[1] or '', found[2] or '', attempts, found[3] or '', found[4] or '',
  found[5] or '', crashes, now}
