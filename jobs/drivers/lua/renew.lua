-- Hold a job until another moment. ARGV: job, lease, the end, the record where it changed, or ''.
local held = get_held(ARGV[3], ARGV[4])
if not held then return 0 end
if ARGV[6] ~= '' then redis.call('HSET', job_key(held.id), 'payload', ARGV[6]) end
hold(held, ARGV[4], ARGV[5], utc(now))
return 1
