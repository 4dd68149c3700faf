-- Take a place. ARGV: key, owner, lifetime in microseconds or '' for ever, how many places there are.
local name, owner, lifetime, places = places_of(ARGV[2]), ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
redis.call('ZREMRANGEBYSCORE', name, '-inf', whole(present))
if not redis.call('ZSCORE', name, owner) and redis.call('ZCARD', name) >= places then return 0 end
redis.call('ZADD', name, lifetime and whole(present + lifetime) or '+inf', owner)
expire_places(name)
return 1
