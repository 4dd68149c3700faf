-- Hold a job until another moment. ARGV: job, lease, the end, the record where it changed, or ''.
local held = get_held(ARGV[3], ARGV[4])
if not held then return 0 end
local key = job_key(held.id)
redis.call('HSET', key, 'status', 'started', 'origin', held.queue, 'last_heartbeat', utc(now))
if ARGV[6] ~= '' then redis.call('HSET', key, 'payload', ARGV[6]) end
redis.call('ZADD', leases_of(held.queue), ARGV[5], held.id)
if not held.is_stock then
  local execution = rq .. ':execution:' .. held.id .. ':' .. ARGV[4]
  redis.call('ZADD', wip_of(held.queue), '+inf', held.id .. ':' .. ARGV[4])
  redis.call('HSET', execution, 'id', ARGV[4], 'job_id', held.id, 'created_at', now, 'last_heartbeat', now)
  redis.call('EXPIRE', execution, math.ceil(math.max(tonumber(ARGV[5]) - present, 0)) + 60)
end
return 1
