-- Return how many events happened within the window that ends now. ARGV: key, length in microseconds.
return redis.call('ZCOUNT', hits_of(ARGV[2]), '(' .. whole(present - tonumber(ARGV[3])), '+inf')
