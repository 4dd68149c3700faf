-- Count one event in each window, or in none. ARGV: '1' to count or '0' to ask only, then of each window its key, its
-- limit and its length in microseconds. Returns how long until there is room, 0 if there was.
for at = 3, #ARGV, 3 do
  local wait = get_wait(ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]))
  if wait > 0 then return whole(wait) end
end
if ARGV[2] == '0' then return '0' end
for at = 3, #ARGV, 3 do
  local name, length = hits_of(ARGV[at]), tonumber(ARGV[at + 2])
  redis.call('ZREMRANGEBYSCORE', name, '-inf', whole(present - length))
  -- Nothing is counted before something that was: a clock that was set back must not open the window.
  local last = redis.call('ZRANGE', name, -1, -1, 'WITHSCORES')
  local moment = math.max(present, tonumber(last[2] or '0'))
  redis.call('ZADD', name, whole(moment), redis.call('INCR', ours .. 'sequence'))
  redis.call('PEXPIRE', name, whole((moment - present + length) / 1000 + MARGIN))
end
return '0'
