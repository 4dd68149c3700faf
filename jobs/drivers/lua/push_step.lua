-- Store jobs once, however often that is asked for within the hour. ARGV: name of the step, the jobs.
if redis.call('SET', ours .. 'pushed:' .. ARGV[3], '', 'NX', 'EX', 3600) then push_all(4) end
return 0
