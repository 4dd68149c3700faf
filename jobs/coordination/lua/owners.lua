-- Return who holds a place now. ARGV: key.
return redis.call('ZRANGEBYSCORE', places_of(ARGV[2]), '(' .. whole(present), '+inf')
