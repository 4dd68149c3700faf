-- Add one to a number. ARGV: key, lifetime in microseconds, after which it is 0 again.
local name, lifetime = ours .. 'number:' .. ARGV[2], tonumber(ARGV[3])
if tonumber(redis.call('HGET', name, 'ends') or '0') <= present then redis.call('DEL', name) end
local value = redis.call('HINCRBY', name, 'value', 1)
redis.call('HSET', name, 'ends', whole(present + lifetime))
redis.call('PEXPIRE', name, whole(lifetime / 1000 + MARGIN))
return value
