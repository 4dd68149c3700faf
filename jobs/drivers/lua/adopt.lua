-- Hold a job that a worker of RQ has taken from its list. ARGV: job, lease, worker, seconds that it holds.
-- Returns nothing where there is no such job, 'held' where somebody else holds it, or the job as a claim does.
local id, lease, worker, seconds = ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local key = job_key(id)
local values = redis.call('HMGET', key, 'job_class', 'queue', 'lease_id', 'attempts', 'crashes', 'payload', 'priority',
  'due', 'sequence', 'born')
if not values[1] then return {} end
local queue = values[2]
if values[3] ~= '' and tonumber(redis.call('ZSCORE', leases_of(queue), id) or '0') > present then return {'held'} end
redis.call('ZREM', scheduled_of(queue), id)
redis.call('ZREM', returned_of(queue), id)
local fields = {'lease_id', lease, 'worker_name', worker, 'stock', '1', 'status', 'started'}
local attempts, crashes = count_try(fields, values[4], values[5], values[3])
redis.call('HSET', key, unpack(fields))
redis.call('ZADD', leases_of(queue), stamp(present + seconds), id)
return {id, queue, values[1], values[6] or '', values[7] or '', attempts, values[8] or '', values[9] or '',
  values[10] or '', crashes, now}
