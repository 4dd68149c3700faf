-- Make one owner the only one. ARGV: key, owner, lifetime in microseconds.
local name = places_of(ARGV[2])
redis.call('DEL', name)
redis.call('ZADD', name, whole(present + tonumber(ARGV[4])), ARGV[3])
expire_places(name)
return 1
