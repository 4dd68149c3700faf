-- Return the queues that rest, each with the end of its rest or ''; with ARGV[3], end that queue's rest first and
-- return it if it rested.
local found = {}
local pauses = is_of(ours .. 'paused', 'hash') and redis.call('HGETALL', ours .. 'paused') or {}
for at = 1, #pauses, 2 do
  if is_lasting(pauses[at + 1]) and (not ARGV[3] or ARGV[3] == pauses[at]) then
    found[#found + 1] = pauses[at]
    found[#found + 1] = pauses[at + 1]
  end
end
if #pauses > 0 and ARGV[3] then redis.call('HDEL', ours .. 'paused', ARGV[3]) end
return found
